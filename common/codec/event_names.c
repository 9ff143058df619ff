#include "common/codec/event_names.h"

#include "common/base/check.h"

#include <pthread.h>

static struct event_names names;

/* The values 0 .. count - 1 of a field of that type, of which the topic may have only some. */
static void add_symbols(struct name_table *table, enum topic topic, enum event_field_type type, int count)
{
    const struct event_field field = {.type = type};
    for (int i = 0; i < count; i++) {
        struct span name = span_of(event_field_symbol_name(&field, i));
        if (event_field_symbol(&field, topic, name) == i)
            name_table_add(table, name, "\"", (unsigned)i);
    }
}

static void add_fields(struct name_table *table, enum topic topic)
{
    size_t count;
    const struct event_field *list = event_fields(&count);
    for (size_t i = 0; i < count; i++)
        if ((list[i].topics >> topic & 1) != 0)
            name_table_add(table, list[i].name, "\":", (unsigned)i);
}

static void add_topic(enum topic topic)
{
    char prefixed[NAME_WRITTEN_MAX];
    snprintf(prefixed, sizeof prefixed, "crm.%s", topic_name(topic));
    name_table_add(&names.topics, span_of(topic_name(topic)), "\"", topic);
    name_table_add(&names.topics, span_of(prefixed), "\"", topic);
    add_fields(&names.fields[topic], topic);
    add_symbols(&names.kinds[topic], topic, FIELD_KIND, EVENT_KIND_COUNT);
    names.blank[topic] = event_fields_blank(topic);
}

static void make(void)
{
    size_t count;
    names.field_list = event_fields(&count);
    CHECK(count <= EVENT_FIELDS_MAX);
    for (enum line_member member = 0; member < LINE_MEMBER_COUNT; member++)
        name_table_add(&names.line, line_member_name(member), "\":", member);
    for (enum topic topic = 0; topic < TOPIC_COUNT; topic++)
        add_topic(topic);
    add_symbols(&names.purposes, TOPIC_SURVEYS, FIELD_PURPOSE, PURPOSE_COUNT);
    add_symbols(&names.concerns, TOPIC_SURVEYS, FIELD_CONCERNS, CONCERN_COUNT);
    add_symbols(&names.channels, TOPIC_EMAIL_OPENS, FIELD_CHANNEL, EVENT_CHANNEL_LINE + 1);
    add_symbols(&names.agents, TOPIC_EMAIL_OPENS, FIELD_AGENT, AGENT_MACHINE + 1);
}

const struct event_names *event_names(void)
{
    static pthread_once_t made = PTHREAD_ONCE_INIT;
    CHECK(pthread_once(&made, make) == 0);
    return &names;
}

struct span line_member_name(enum line_member member)
{
    static const struct span line_names[] = {
        [LINE_TOPIC] = {"topic", 5}, [LINE_EVENT] = {"event", 5}, [LINE_RECEIVED_AT] = {"received_at", 11}};
    CHECK(member < LINE_MEMBER_COUNT);
    return line_names[member];
}
