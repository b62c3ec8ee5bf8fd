/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cli/fields.h - an operation's input from --NAME VALUE, read by its schema. */
#ifndef ALK_CLI_FIELDS_H
#define ALK_CLI_FIELDS_H

#include "cli.h"

/* What the schema says a property is, for reading and for help. */
enum cli_field_type {
    CLI_FIELD_ANY, /* JSON if it reads as JSON, else a string */
    CLI_FIELD_STRING,
    CLI_FIELD_INTEGER,
    CLI_FIELD_NUMBER,
    CLI_FIELD_BOOL,
    CLI_FIELD_ARRAY,
    CLI_FIELD_OBJECT,
    CLI_FIELD_NULL
};
/* What `$ref` within the document leads to, or the schema itself. root: of the document;
 * NULL: nothing is followed. Borrows from root. */
struct yyjson_val *cli_field_schema(struct yyjson_val *root, struct yyjson_val *schema);
/* property: a schema; NULL: ANY. Of a type of several the first that is not null. */
enum cli_field_type cli_field_type(struct yyjson_val *property);
/* "string", "array of integer", "integer or null"; "any". For people, and safe to print. */
void cli_field_describe(struct yyjson_val *root, struct yyjson_val *property, char *ret,
                        size_t ret_size);
/* The type at `i` among those that a value may have, in the schema's order; false: no more.
 * A schema that names none has one, ANY. */
bool cli_field_type_at(struct yyjson_val *property, size_t i, enum cli_field_type *ret);

/* The input: an object of the fields. schema: the operation's input schema (NULL: takes
 * anything). CLI_OK: *ret_doc is the caller's. CLI_USAGE: a message was written, and that
 * `alknet ops` explains the fields; the command's arguments begin with NODE OPERATION. */
int cli_fields_read(struct cli *cli, const struct cli_args *args, struct yyjson_val *schema,
                    struct yyjson_mut_doc **ret_doc);

#endif
