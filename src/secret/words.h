/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* secret/words.h - the 2048 English words of BIP39, sorted; the first four
 * letters of each are its own. */
#ifndef ALKSEC_WORDS_H
#define ALKSEC_WORDS_H

#define ALKSEC_WORDS     2048
#define ALKSEC_WORD_SIZE 9 /* the longest has 8 letters */

extern const char alksec_words[ALKSEC_WORDS][ALKSEC_WORD_SIZE];

#endif
