/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The keywords of draft 2020-12, and the vocabularies they belong to. What is not
 * here has no effect (title, description, default, examples, content*, ...). */
#include "ops/schema_build.h"

const struct schema_word_row alk_schema_words[WORD_COUNT] = {
    [WORD_ID] = {"$id", SHAPE_NONE, VOCABULARY_CORE},
    [WORD_SCHEMA] = {"$schema", SHAPE_NONE, VOCABULARY_CORE},
    [WORD_ANCHOR] = {"$anchor", SHAPE_NONE, VOCABULARY_CORE},
    [WORD_DYNAMIC_ANCHOR] = {"$dynamicAnchor", SHAPE_NONE, VOCABULARY_CORE},
    [WORD_REF] = {"$ref", SHAPE_NONE, VOCABULARY_CORE},
    [WORD_DYNAMIC_REF] = {"$dynamicRef", SHAPE_NONE, VOCABULARY_CORE},
    [WORD_DEFS] = {"$defs", SHAPE_MAP, VOCABULARY_CORE},
    [WORD_TYPE] = {"type", SHAPE_NONE, VOCABULARY_VALIDATION},
    [WORD_ENUM] = {"enum", SHAPE_NONE, VOCABULARY_VALIDATION},
    [WORD_CONST] = {"const", SHAPE_NONE, VOCABULARY_VALIDATION},
    [WORD_MULTIPLE_OF] = {"multipleOf", SHAPE_NONE, VOCABULARY_VALIDATION},
    [WORD_MAXIMUM] = {"maximum", SHAPE_NONE, VOCABULARY_VALIDATION},
    [WORD_EXCLUSIVE_MAXIMUM] = {"exclusiveMaximum", SHAPE_NONE, VOCABULARY_VALIDATION},
    [WORD_MINIMUM] = {"minimum", SHAPE_NONE, VOCABULARY_VALIDATION},
    [WORD_EXCLUSIVE_MINIMUM] = {"exclusiveMinimum", SHAPE_NONE, VOCABULARY_VALIDATION},
    [WORD_MAX_LENGTH] = {"maxLength", SHAPE_NONE, VOCABULARY_VALIDATION},
    [WORD_MIN_LENGTH] = {"minLength", SHAPE_NONE, VOCABULARY_VALIDATION},
    [WORD_PATTERN] = {"pattern", SHAPE_NONE, VOCABULARY_VALIDATION},
    [WORD_FORMAT] = {"format", SHAPE_NONE,
                     VOCABULARY_FORMAT_ANNOTATION | VOCABULARY_FORMAT_ASSERTION},
    [WORD_MAX_ITEMS] = {"maxItems", SHAPE_NONE, VOCABULARY_VALIDATION},
    [WORD_MIN_ITEMS] = {"minItems", SHAPE_NONE, VOCABULARY_VALIDATION},
    [WORD_UNIQUE_ITEMS] = {"uniqueItems", SHAPE_NONE, VOCABULARY_VALIDATION},
    [WORD_MAX_CONTAINS] = {"maxContains", SHAPE_NONE, VOCABULARY_VALIDATION},
    [WORD_MIN_CONTAINS] = {"minContains", SHAPE_NONE, VOCABULARY_VALIDATION},
    [WORD_MAX_PROPERTIES] = {"maxProperties", SHAPE_NONE, VOCABULARY_VALIDATION},
    [WORD_MIN_PROPERTIES] = {"minProperties", SHAPE_NONE, VOCABULARY_VALIDATION},
    [WORD_REQUIRED] = {"required", SHAPE_NONE, VOCABULARY_VALIDATION},
    [WORD_DEPENDENT_REQUIRED] = {"dependentRequired", SHAPE_NONE, VOCABULARY_VALIDATION},
    [WORD_DEPENDENT_SCHEMAS] = {"dependentSchemas", SHAPE_MAP, VOCABULARY_APPLICATOR},
    [WORD_DEPENDENCIES] = {"dependencies", SHAPE_MAP_OR_NAMES, VOCABULARY_APPLICATOR},
    [WORD_PREFIX_ITEMS] = {"prefixItems", SHAPE_LIST, VOCABULARY_APPLICATOR},
    [WORD_ITEMS] = {"items", SHAPE_ONE, VOCABULARY_APPLICATOR},
    [WORD_CONTAINS] = {"contains", SHAPE_ONE, VOCABULARY_APPLICATOR},
    [WORD_PROPERTIES] = {"properties", SHAPE_MAP, VOCABULARY_APPLICATOR},
    [WORD_PATTERN_PROPERTIES] = {"patternProperties", SHAPE_MAP, VOCABULARY_APPLICATOR},
    [WORD_ADDITIONAL_PROPERTIES] = {"additionalProperties", SHAPE_ONE, VOCABULARY_APPLICATOR},
    [WORD_PROPERTY_NAMES] = {"propertyNames", SHAPE_ONE, VOCABULARY_APPLICATOR},
    [WORD_ALL_OF] = {"allOf", SHAPE_LIST, VOCABULARY_APPLICATOR},
    [WORD_ANY_OF] = {"anyOf", SHAPE_LIST, VOCABULARY_APPLICATOR},
    [WORD_ONE_OF] = {"oneOf", SHAPE_LIST, VOCABULARY_APPLICATOR},
    [WORD_NOT] = {"not", SHAPE_ONE, VOCABULARY_APPLICATOR},
    [WORD_IF] = {"if", SHAPE_ONE, VOCABULARY_APPLICATOR},
    [WORD_THEN] = {"then", SHAPE_ONE, VOCABULARY_APPLICATOR},
    [WORD_ELSE] = {"else", SHAPE_ONE, VOCABULARY_APPLICATOR},
    [WORD_UNEVALUATED_ITEMS] = {"unevaluatedItems", SHAPE_ONE, VOCABULARY_UNEVALUATED},
    [WORD_UNEVALUATED_PROPERTIES] = {"unevaluatedProperties", SHAPE_ONE, VOCABULARY_UNEVALUATED},
};

enum schema_word alk_schema_word_find(struct alk_span name, unsigned vocabularies)
{
    for (size_t i = 0; i < WORD_COUNT; i++) {
        if (alk_span_is(name, alk_schema_words[i].name)) {
            bool is_in_force = (alk_schema_words[i].vocabulary & vocabularies) != 0;
            return is_in_force ? (enum schema_word)i : WORD_COUNT;
        }
    }
    return WORD_COUNT;
}
