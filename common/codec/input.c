#include "common/codec/input.h"

#include "common/codec/event_json.h"

static bool is_json(const struct input *input, struct span value)
{
    return input->form == INPUT_JSON || (input->form == INPUT_AUTO && value.size > 0 && value.data[0] != '\0');
}

static enum reason read_object(const struct mapping *mapping, const struct mapped *mapped, struct arena *arena,
                               struct event *ret_event, const char **ret_field, struct span *ret_message)
{
    enum reason reason = event_json_read_tree(mapped->topic, mapped->object, arena, ret_event, ret_field);
    if (reason == REASON_NONE)
        return reason;
    struct buffer text = {0};
    buffer_format(&text, "%s:%d: the event is refused: %s%s%s", mapping_file(mapping), mapped->line,
                  reason_name(reason), *ret_field ? ": " : "", *ret_field ? *ret_field : "");
    *ret_message = arena_copy(arena, buffer_span(&text));
    buffer_release(&text);
    return reason;
}

static enum reason read_mapped(const struct mapping *mapping, const struct mapping_message *inner, struct arena *arena,
                               struct input_events *ret_events, const char **ret_field, struct span *ret_message)
{
    struct mapped *mapped;
    struct mapping_fault fault;
    size_t count;
    enum reason reason = mapping_run(mapping, inner, arena, &mapped, &count, &fault);
    *ret_field = fault.field;
    *ret_message = fault.message;
    if (reason != REASON_NONE)
        return reason;
    *ret_events = (struct input_events){ARENA_ARRAY(arena, struct event, count), count};
    for (size_t i = 0; i < count && reason == REASON_NONE; i++)
        reason = read_object(mapping, &mapped[i], arena, &ret_events->events[i], ret_field, ret_message);
    return reason;
}

static enum reason read_json(const struct input *input, enum topic topic, const struct original *original,
                             struct arena *arena, struct input_events *ret_events, const char **ret_field,
                             struct span *ret_message)
{
    if (input->mapping_count == 0)
        return event_json_read_bare(topic, original->value, arena, ret_events->events, ret_field);
    const struct json *root = json_read(original->value, arena);
    struct mapping_message message = {root, original->headers, original->header_count}, inner;
    for (size_t i = 0; i < input->mapping_count && root != NULL; i++)
        if (mapping_takes(input->mappings[i], &message, arena, &inner))
            return read_mapped(input->mappings[i], &inner, arena, ret_events, ret_field, ret_message);
    enum reason reason = event_json_read_tree(topic, root, arena, ret_events->events, ret_field);
    if (reason != REASON_NONE && root != NULL)
        *ret_message = SPAN("no mapping takes it, and it is no event of our own schema");
    return reason;
}

enum reason input_read(const struct input *input, enum topic topic, const struct original *original,
                       struct arena *arena, struct input_events *ret_events, const char **ret_field,
                       struct span *ret_message)
{
    *ret_events = (struct input_events){ARENA_NEW(arena, struct event), 1};
    *ret_message = SPAN("");
    *ret_field = NULL;
    if (is_json(input, original->value))
        return read_json(input, topic, original, arena, ret_events, ret_field, ret_message);
    return schema_set_read_event(input->schemas, topic, original->value, arena, ret_events->events, ret_field);
}
