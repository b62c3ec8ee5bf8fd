/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Unicode properties: PCRE2 knows general categories by their short names only. */
#include "ops/schema_pattern.h"

static const struct {
    const char *name, *brief;
} categories[] = {
    {"Letter", "L"},
    {"Cased_Letter", "L&"},
    {"LC", "L&"},
    {"Uppercase_Letter", "Lu"},
    {"Lowercase_Letter", "Ll"},
    {"Titlecase_Letter", "Lt"},
    {"Modifier_Letter", "Lm"},
    {"Other_Letter", "Lo"},
    {"Mark", "M"},
    {"Combining_Mark", "M"},
    {"Nonspacing_Mark", "Mn"},
    {"Spacing_Mark", "Mc"},
    {"Enclosing_Mark", "Me"},
    {"Number", "N"},
    {"Decimal_Number", "Nd"},
    {"digit", "Nd"},
    {"Letter_Number", "Nl"},
    {"Other_Number", "No"},
    {"Punctuation", "P"},
    {"punct", "P"},
    {"Connector_Punctuation", "Pc"},
    {"Dash_Punctuation", "Pd"},
    {"Open_Punctuation", "Ps"},
    {"Close_Punctuation", "Pe"},
    {"Initial_Punctuation", "Pi"},
    {"Final_Punctuation", "Pf"},
    {"Other_Punctuation", "Po"},
    {"Symbol", "S"},
    {"Math_Symbol", "Sm"},
    {"Currency_Symbol", "Sc"},
    {"Modifier_Symbol", "Sk"},
    {"Other_Symbol", "So"},
    {"Separator", "Z"},
    {"Space_Separator", "Zs"},
    {"Line_Separator", "Zl"},
    {"Paragraph_Separator", "Zp"},
    {"Other", "C"},
    {"Control", "Cc"},
    {"cntrl", "Cc"},
    {"Format", "Cf"},
    {"Surrogate", "Cs"},
    {"Private_Use", "Co"},
    {"Unassigned", "Cn"},
};

static struct alk_span brief_of(struct alk_span name)
{
    for (size_t i = 0; i < sizeof categories / sizeof categories[0]; i++) {
        if (alk_span_is(name, categories[i].name)) {
            return alk_span_str(categories[i].brief);
        }
    }
    return name;
}

static bool is_word(struct alk_span s)
{
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        if (c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')) {
            return false;
        }
    }
    return s.n > 0;
}

static void put(struct alk_buf *out, const char *prefix, struct alk_span name)
{
    if (out != NULL) {
        (void)alk_buf_put_str(out, prefix);
        (void)alk_buf_put(out, name);
    }
}

bool alk_schema_property_put(struct alk_span name, struct alk_buf *out)
{
    struct alk_span value = name;
    struct alk_span key = alk_span_cut(&value, '=');

    if (key.n == name.n) {
        put(out, "", brief_of(name));
        return is_word(name);
    }
    if (!is_word(value)) {
        return false;
    }
    if (alk_span_is(key, "General_Category") || alk_span_is(key, "gc")) {
        put(out, "", brief_of(value));
        return true;
    }
    if (alk_span_is(key, "Script") || alk_span_is(key, "sc")) {
        put(out, "sc:", value);
        return true;
    }
    put(out, "scx:", value);
    return alk_span_is(key, "Script_Extensions") || alk_span_is(key, "scx");
}
