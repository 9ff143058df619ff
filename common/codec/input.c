#include "common/codec/input.h"

#include "common/codec/event_json.h"

static bool is_json(const struct input *input, struct span value)
{
    return input->form == INPUT_JSON || (input->form == INPUT_AUTO && value.size > 0 && value.data[0] != '\0');
}

enum reason input_read(const struct input *input, enum topic topic, const struct original *original,
                       struct arena *arena, struct input_events *ret_events, const char **ret_field,
                       struct span *ret_message)
{
    *ret_events = (struct input_events){ARENA_NEW(arena, struct event), 1};
    *ret_message = SPAN("");
    if (is_json(input, original->value))
        return event_json_read_bare(topic, original->value, arena, ret_events->events, ret_field);
    return schema_set_read_event(input->schemas, topic, original->value, arena, ret_events->events, ret_field);
}
