#include "common/playbook/node.h"

#include "common/base/check.h"

#include <yaml.h>

struct reader {
    yaml_parser_t parser;
    struct span text;
    struct arena *arena;
    node_complaint *complain;
    void *context;
};

static void complain_at(struct reader *reader, yaml_mark_t mark, const char *message)
{
    reader->complain(reader->context, (int)mark.line + 1, (int)mark.column + 1, message);
}

/* libyaml's marks count characters. */
static bool tab_at(struct span text, size_t index)
{
    for (size_t at = 0; at < text.size; at++) {
        bool begins = ((unsigned char)text.data[at] & 0xc0) != 0x80;
        if (begins && index-- == 0)
            return text.data[at] == '\t';
    }
    return false;
}

/* libyaml's words that say nothing to somebody who writes a playbook, and what has mostly happened. */
static const struct {
    const char *problem, *words;
    bool where_it_began; /* the mark of the problem itself is at the next thing, or at the file's end */
} problems[] = {
    {"mapping values are not allowed in this context",
     "a key where none can stand (indented too far, or a text with \": \" that needs quotes)", false},
    {"did not find expected '-' indicator", "a line that is indented less than its list's items", false},
    {"did not find expected key", "a line whose indent fits nothing above it", false},
    {"could not find expected ':'", "a line without \": \" (a colon and a blank) after its key", true},
    {"found unexpected end of stream", "a quote that is never closed", true},
    {"did not find expected ',' or ']'", "a [ that is not closed", true},
    {"did not find expected ',' or '}'", "a { that is not closed, or a comma left out in it", true},
    {"did not find expected alphabetic or numeric character", "a value that begins with * or & and needs quotes", true},
    {"found character that cannot start any token", "a character that begins no value (it needs quotes)", false},
    {"invalid leading UTF-8 octet", "a byte of another encoding (Shift_JIS, UTF-16?)", false},
};

/* libyaml's words without a "found" of their own, and a tab by its name. */
static const char *found_what(const struct reader *reader)
{
    static const char found[] = "found ";
    const yaml_parser_t *parser = &reader->parser;
    const char *problem = parser->problem ? parser->problem : "no more memory";
    if (parser->error == YAML_SCANNER_ERROR && tab_at(reader->text, parser->problem_mark.index))
        return "a tab; indent with spaces";
    for (size_t i = 0; i < COUNT_OF(problems); i++) {
        if (strcmp(problem, problems[i].problem) == 0)
            return problems[i].words;
    }
    return strncmp(problem, found, sizeof found - 1) == 0 ? problem + sizeof found - 1 : problem;
}

/* The mark of a byte, which libyaml leaves out for those that it cannot read. */
static yaml_mark_t mark_of_byte(struct span text, size_t offset)
{
    yaml_mark_t mark = {0};
    for (size_t at = 0; at < offset && at < text.size; at++) {
        if (text.data[at] == '\n')
            mark.line++, mark.column = 0;
        else
            mark.column += ((unsigned char)text.data[at] & 0xc0) != 0x80;
    }
    return mark;
}

static yaml_mark_t problem_mark(const struct reader *reader)
{
    const yaml_parser_t *parser = &reader->parser;
    if (parser->error == YAML_READER_ERROR)
        return mark_of_byte(reader->text, parser->problem_offset);
    for (size_t i = 0; i < COUNT_OF(problems) && parser->context != NULL; i++) {
        if (problems[i].where_it_began && strcmp(parser->problem, problems[i].problem) == 0)
            return parser->context_mark;
    }
    return parser->problem_mark;
}

/* The next event; false, after a complaint, when the text is no YAML. */
static bool event_next(struct reader *reader, yaml_event_t *event)
{
    char message[200];
    yaml_parser_t *parser = &reader->parser;
    if (yaml_parser_parse(parser, event))
        return true;
    snprintf(message, sizeof message, "expected %s, found: %s",
             parser->error == YAML_READER_ERROR ? "UTF-8 text without control characters" : "well-formed YAML",
             found_what(reader));
    complain_at(reader, problem_mark(reader), message);
    return false;
}

static void refuse_extras(struct reader *reader, const yaml_event_t *event)
{
    bool anchor = (event->type == YAML_SCALAR_EVENT && event->data.scalar.anchor) ||
                  (event->type == YAML_SEQUENCE_START_EVENT && event->data.sequence_start.anchor) ||
                  (event->type == YAML_MAPPING_START_EVENT && event->data.mapping_start.anchor);
    bool tag = (event->type == YAML_SCALAR_EVENT && event->data.scalar.tag) ||
               (event->type == YAML_SEQUENCE_START_EVENT && event->data.sequence_start.tag) ||
               (event->type == YAML_MAPPING_START_EVENT && event->data.mapping_start.tag);
    if (anchor)
        complain_at(reader, event->start_mark,
                    "expected a plain value, found an anchor (&name), which is not supported");
    if (tag)
        complain_at(reader, event->start_mark, "expected a plain value, found a tag (!name), which is not supported");
    if (event->type == YAML_ALIAS_EVENT)
        complain_at(reader, event->start_mark,
                    "expected a plain value, found an alias (*name), which is not supported; a text that begins with * "
                    "needs quotes");
}

static struct node *node_of(struct reader *reader, const yaml_event_t *event)
{
    struct node *node = ARENA_NEW(reader->arena, struct node);
    node->line = (int)event->start_mark.line + 1;
    node->column = (int)event->start_mark.column + 1;
    if (event->type == YAML_SCALAR_EVENT) {
        struct span text = {(const char *)event->data.scalar.value, event->data.scalar.length};
        node->text = arena_copy(reader->arena, text);
        node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        node->kind = NODE_LIST;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        node->kind = NODE_MAP;
    }
    return node;
}

static struct node *read_node(struct reader *reader, yaml_event_t *event, int depth);

static bool ends(yaml_event_type_t type)
{
    return type == YAML_SEQUENCE_END_EVENT || type == YAML_MAPPING_END_EVENT;
}

static bool read_items(struct reader *reader, struct node *list, int depth)
{
    yaml_event_t event;
    struct node **end = &list->first;
    while (event_next(reader, &event)) {
        if (ends(event.type)) {
            yaml_event_delete(&event);
            return true;
        }
        *end = read_node(reader, &event, depth + 1);
        if (*end == NULL)
            return false;
        end = &(*end)->next;
    }
    return false;
}

static bool key_known(struct reader *reader, const struct node *map, const struct node *key)
{
    char message[NODE_FOUND_SIZE + 80], found[NODE_FOUND_SIZE];
    for (const struct node *item = map->first; item != NULL; item = item->next) {
        if (!span_equal(item->key, key->text))
            continue;
        node_found(key, found);
        snprintf(message, sizeof message, "expected each key once, found %s again (first on line %d)", found,
                 item->key_line);
        reader->complain(reader->context, key->line, key->column, message);
        return true;
    }
    return false;
}

/* One key and its value. A key that was there before, or is no scalar, is complained about and left out. */
static bool read_pair(struct reader *reader, yaml_event_t *event, struct node *map, struct node ***end, int depth)
{
    yaml_event_t value_event;
    struct node *key = read_node(reader, event, depth + 1);
    if (key == NULL || !event_next(reader, &value_event))
        return false;
    struct node *value = read_node(reader, &value_event, depth + 1);
    if (value == NULL)
        return false;
    if (key->kind != NODE_SCALAR) {
        reader->complain(reader->context, key->line, key->column, "expected a word as a key, found a list or a map");
        return true;
    }
    if (key_known(reader, map, key))
        return true;
    value->key = key->text;
    value->key_line = key->line;
    value->key_column = key->column;
    **end = value;
    *end = &value->next;
    return true;
}

static bool read_pairs(struct reader *reader, struct node *map, int depth)
{
    yaml_event_t event;
    struct node **end = &map->first;
    for (int count = 0; event_next(reader, &event); count++) {
        if (ends(event.type)) {
            yaml_event_delete(&event);
            return true;
        }
        if (count == NODE_KEYS_MAX) { /* looking for doubles costs the square */
            complain_at(reader, event.start_mark, "expected at most 1000 keys in a map, found more");
            yaml_event_delete(&event);
            return false;
        }
        if (!read_pair(reader, &event, map, &end, depth))
            return false;
    }
    return false;
}

/* Takes the event. NULL after a complaint: nothing more can be read. */
static struct node *read_node(struct reader *reader, yaml_event_t *event, int depth)
{
    refuse_extras(reader, event);
    struct node *node = node_of(reader, event);
    bool good = true;
    if (node->kind != NODE_SCALAR && depth > NODE_DEPTH_MAX) {
        complain_at(reader, event->start_mark, "expected at most 12 levels of lists and maps, found more");
        good = false;
    }
    yaml_event_delete(event);
    if (good && node->kind == NODE_LIST)
        good = read_items(reader, node, depth);
    else if (good && node->kind == NODE_MAP)
        good = read_pairs(reader, node, depth);
    return good ? node : NULL;
}

static struct node *read_stream(struct reader *reader)
{
    struct node *root = NULL;
    yaml_event_t event;
    while (event_next(reader, &event)) {
        yaml_event_type_t type = event.type;
        bool document = type == YAML_DOCUMENT_START_EVENT;
        if (document && root != NULL)
            complain_at(reader, event.start_mark, "expected one document, found a second one (---)");
        yaml_event_delete(&event);
        if (type == YAML_STREAM_END_EVENT || (document && root != NULL))
            return root;
        if (!document)
            continue;
        if (!event_next(reader, &event))
            return NULL;
        root = read_node(reader, &event, 1);
        if (root == NULL)
            return NULL;
    }
    return NULL;
}

struct node *node_parse(struct arena *arena, struct span yaml, node_complaint *complain, void *context)
{
    struct reader reader = {.arena = arena, .complain = complain, .context = context};
    if (yaml.size > NODE_FILE_SIZE_MAX) {
        complain(context, 1, 1, "expected a file of at most 1 MiB, found a larger one");
        return NULL;
    }
    if (yaml.size >= 3 && memcmp(yaml.data, "\xEF\xBB\xBF", 3) == 0)
        yaml = (struct span){yaml.data + 3, yaml.size - 3}; /* a byte order mark, as some editors write it */
    CHECK(yaml_parser_initialize(&reader.parser));
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    reader.text = yaml;
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)(yaml.data ? yaml.data : ""), yaml.size);
    struct node *root = read_stream(&reader);
    yaml_parser_delete(&reader.parser);
    return root;
}

const struct node *node_find(const struct node *map, const char *key)
{
    if (map == NULL || map->kind != NODE_MAP)
        return NULL;
    for (const struct node *item = map->first; item != NULL; item = item->next) {
        if (span_equal(item->key, span_of(key)))
            return item;
    }
    return NULL;
}

bool node_nothing(const struct node *node)
{
    return node->kind == NODE_SCALAR && !node->quoted &&
           (node->text.size == 0 || span_equal(node->text, SPAN("~")) || span_equal(node->text, SPAN("null")));
}

void node_found(const struct node *node, char ret_text[NODE_FOUND_SIZE])
{
    enum { SHOWN = 48 };
    if (node->kind != NODE_SCALAR || node_nothing(node)) {
        snprintf(ret_text, NODE_FOUND_SIZE, "%s",
                 node->kind == NODE_LIST  ? "a list"
                 : node->kind == NODE_MAP ? "a map"
                                          : "nothing");
        return;
    }
    size_t size = node->text.size < SHOWN ? node->text.size : SHOWN;
    while (size < node->text.size && size > 0 && (node->text.data[size] & 0xC0) == 0x80)
        size--; /* no half character */
    snprintf(ret_text, NODE_FOUND_SIZE, "\"%.*s%s\"", (int)size, node->text.data ? node->text.data : "",
             size < node->text.size ? "..." : "");
    for (char *c = ret_text; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ')
            *c = ' ';
    }
}
