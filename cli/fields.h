/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cli/fields.h - an operation's input from --NAME VALUE, read by its schema. */
#ifndef ALK_CLI_FIELDS_H
#define ALK_CLI_FIELDS_H

#include "cli.h"

/* What the schema says a property is, for reading and for help. */
enum cli_field_type {
    CLI_FIELD_ANY, /* JSON if it reads as JSON, else a string */
    CLI_FIELD_STRING,
    CLI_FIELD_NUMBER,
    CLI_FIELD_BOOL,
    CLI_FIELD_ARRAY,
    CLI_FIELD_OBJECT
};
/* property: a schema; NULL: ANY. A type of several takes the first that is not null. */
enum cli_field_type cli_field_type(struct yyjson_val *property);
/* "string", "integer", ...; "any". Static text, or the schema's own. */
const char *cli_field_type_name(struct yyjson_val *property);

/* The input: an object of the fields. schema: the operation's input schema (NULL: takes
 * anything). CLI_OK: *ret_doc is the caller's. CLI_USAGE: a message was written, and that
 * `alknet ops` explains the fields; the command's arguments begin with NODE OPERATION. */
int cli_fields_read(struct cli *cli, const struct cli_args *args, struct yyjson_val *schema,
                    struct yyjson_mut_doc **ret_doc);

#endif
