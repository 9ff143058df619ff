#include "common/flow/replay_file.h"

#include "common/base/base64.h"
#include "common/base/check.h"
#include "common/codec/avro_binary.h"
#include "common/codec/json.h"
#include "common/flow/batch.h"
#include "common/flow/replay.h"

#include <stdarg.h>
#include <stdlib.h>

/* ---- the file ---- */

struct partition_lines { /* one partition's records, by offset */
    struct span topic;
    int32_t partition;
    struct original *records;
    size_t count, capacity;
};

enum output { OUTPUT_TRANSITION, OUTPUT_ACTION, OUTPUT_DECISION, OUTPUT_STATE, OUTPUT_COUNT };

struct written { /* one record, found in the file or made by the replay */
    struct span customer_id, value;
    size_t index;  /* keeps the order of one customer's */
    bool optional; /* a decision that a run publishes only with `decisions: all` */
};

struct written_list {
    struct written *items;
    size_t count, capacity;
};

struct audit {
    const struct flow_config *config;
    struct arena memory; /* everything of the file, and everything made */
    struct partition_lines *partitions;
    size_t partition_count, partition_capacity;
    struct written_list found[OUTPUT_COUNT], made[OUTPUT_COUNT];
    struct replay replay;
    bool shadowed; /* actions are compared as a set */
    struct buffer buffer;
    struct replay_report *report;
    const struct replay_reader *reader;
    bool foreign_ids; /* a registry's: bytes are compared without */
};

__attribute__((format(printf, 2, 3))) static bool failed(struct audit *audit, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(audit->report->text, sizeof(audit->report->text), format, arguments);
    va_end(arguments);
    return false;
}

#define GROW(array, count, capacity)                                                                                   \
    do {                                                                                                               \
        if ((count) == (capacity)) {                                                                                   \
            (capacity) = (capacity) ? (capacity)*2 : 16;                                                               \
            (array) = realloc((array), (capacity) * sizeof(*(array)));                                                 \
            CHECK(array);                                                                                              \
        }                                                                                                              \
    } while (0)

static struct partition_lines *partition_find(struct audit *audit, struct span topic, int32_t partition, bool make)
{
    for (size_t i = 0; i < audit->partition_count; i++)
        if (audit->partitions[i].partition == partition && span_equal(audit->partitions[i].topic, topic))
            return &audit->partitions[i];
    if (!make)
        return NULL;
    GROW(audit->partitions, audit->partition_count, audit->partition_capacity);
    struct partition_lines *lines = &audit->partitions[audit->partition_count++];
    *lines = (struct partition_lines){.topic = topic, .partition = partition};
    return lines;
}

static bool integer_read(const struct json *object, struct span key, int64_t *ret_value)
{
    const struct json *member = json_part_of(object, key, JSON_KIND_INTEGER);
    if (member)
        *ret_value = member->integer;
    return member;
}

static bool bytes_read(struct audit *audit, const struct json *object, struct span key, struct span *ret_bytes)
{
    const struct json *member = json_part_of(object, key, JSON_KIND_TEXT);
    return member && base64_read(member->text, &audit->memory, ret_bytes);
}

/* [[name, value] ...]; a mapping may look at them. Absent: none, as in older exports. */
static bool headers_read(struct audit *audit, const struct json *object, struct original *record)
{
    const struct json *list = json_member(object, SPAN("headers"));
    if (list == NULL || list->type != JSON_KIND_ARRAY)
        return list == NULL;
    struct header *headers = ARENA_ARRAY(&audit->memory, struct header, list->count);
    for (const struct json *pair = list->first; pair != NULL; pair = pair->next) {
        struct header *header = &headers[record->header_count++];
        if (pair->type != JSON_KIND_ARRAY || pair->count != 2 || pair->first->type != JSON_KIND_TEXT ||
            pair->first->next->type != JSON_KIND_TEXT ||
            !base64_read(pair->first->text, &audit->memory, &header->name) ||
            !base64_read(pair->first->next->text, &audit->memory, &header->value))
            return false;
    }
    record->headers = headers;
    return true;
}

/* {"id", "schema"}: what an id of a registry means. */
static bool schema_line_read(struct audit *audit, const struct json *object, const struct json *schema)
{
    struct buffer error = {0};
    int64_t id;
    if (schema->type != JSON_KIND_TEXT || !integer_read(object, SPAN("id"), &id) || id < 0 || id > UINT32_MAX)
        return failed(audit, "line %llu is no line of an export", (unsigned long long)audit->report->lines);
    audit->foreign_ids = true;
    bool good = audit->reader->schema_add == NULL ||
                audit->reader->schema_add(audit->reader->context, (uint32_t)id, schema->text, &error) ||
                failed(audit, "line %llu: schema %lld: %s", (unsigned long long)audit->report->lines, (long long)id,
                       error.data);
    buffer_release(&error);
    return good;
}

static bool line_read(struct audit *audit, struct span line)
{
    struct original record = {0};
    int64_t partition;
    const struct json *object = json_read(arena_copy(&audit->memory, line), &audit->memory);
    const struct json *schema = json_part(object, SPAN("schema"));
    if (schema)
        return schema_line_read(audit, object, schema);
    const struct json *topic = json_part_of(object, SPAN("topic"), JSON_KIND_TEXT);
    if (!topic || !integer_read(object, SPAN("partition"), &partition) ||
        !integer_read(object, SPAN("offset"), &record.offset) ||
        !integer_read(object, SPAN("timestamp"), &record.timestamp) ||
        !bytes_read(audit, object, SPAN("key"), &record.key) ||
        !bytes_read(audit, object, SPAN("value"), &record.value) || !headers_read(audit, object, &record))
        return failed(audit, "line %llu is no line of an export", (unsigned long long)audit->report->lines);
    record.topic = topic->text;
    record.partition = (int32_t)partition;
    struct partition_lines *lines = partition_find(audit, topic->text, record.partition, true);
    if (lines->count && lines->records[lines->count - 1].offset >= record.offset)
        return failed(audit, "line %llu: its offset is not behind the one before",
                      (unsigned long long)audit->report->lines);
    GROW(lines->records, lines->count, lines->capacity);
    lines->records[lines->count++] = record;
    return true;
}

static bool file_lines_read(struct audit *audit, FILE *in)
{
    char *line = NULL;
    size_t capacity = 0;
    bool good = true;
    for (ssize_t size; good && (size = getline(&line, &capacity, in)) > 0;) {
        audit->report->lines++;
        good = line_read(audit, (struct span){line, (size_t)size});
    }
    free(line);
    return good && (!ferror(in) || failed(audit, "the file cannot be read to its end"));
}

/* ---- what the run wrote ---- */

static void written_add(struct written_list *list, struct span customer_id, struct span value, bool optional)
{
    GROW(list->items, list->count, list->capacity);
    list->items[list->count] = (struct written){customer_id, value, list->count, optional};
    list->count++;
}

/* A run may have spoken into the shadow for a while. A customer's actions lie in two topics then, and nothing tells
 * their order but the seq within. */
static bool is_shadow(struct audit *audit, struct span topic)
{
    struct span actions = span_of(audit->config->actions_topic), shadow = SPAN(".shadow");
    bool is = topic.size == actions.size + shadow.size && memcmp(topic.data, actions.data, actions.size) == 0 &&
              memcmp(topic.data + actions.size, shadow.data, shadow.size) == 0;
    audit->shadowed = audit->shadowed || is;
    return is;
}

static void found_collect(struct audit *audit)
{
    const struct flow_config *config = audit->config;
    const char *topics[OUTPUT_COUNT] = {config->transitions_topic, config->actions_topic, config->decisions_topic,
                                        config->state_topic};
    for (size_t i = 0; i < audit->partition_count; i++)
        for (int output = 0; output < OUTPUT_COUNT; output++) {
            const struct partition_lines *lines = &audit->partitions[i];
            bool of_output = span_equal(lines->topic, span_of(topics[output])) ||
                             (output == OUTPUT_ACTION && is_shadow(audit, lines->topic));
            for (size_t j = 0; of_output && j < lines->count; j++)
                if (!span_equal(lines->records[j].key, meta_key()))
                    written_add(&audit->found[output], lines->records[j].key, lines->records[j].value, false);
        }
}

/* Every text of crm.playbook that compiles here; a step that names another one says so itself. */
static void playbooks_collect(struct audit *audit)
{
    struct buffer ignored = {0};
    for (size_t i = 0; i < audit->partition_count; i++) {
        const struct partition_lines *lines = &audit->partitions[i];
        for (size_t j = 0; span_equal(lines->topic, span_of(audit->config->playbook_topic)) && j < lines->count; j++) {
            struct playbook_entry entry;
            if (playbook_entry_decode(lines->records[j].value, &audit->memory, &entry) && !span_empty(entry.yaml))
                replay_playbook_add(&audit->replay, &entry, &ignored);
        }
    }
    buffer_release(&ignored);
}

static bool shard_count_find(struct audit *audit, int32_t *ret_count)
{
    for (size_t i = 0; i < audit->partition_count; i++)
        for (size_t j = 0; j < audit->partitions[i].count; j++) {
            struct meta meta;
            const struct original *record = &audit->partitions[i].records[j];
            if (span_equal(audit->partitions[i].topic, span_of(audit->config->state_topic)) &&
                span_equal(record->key, meta_key()) && meta_decode(record->value, &audit->memory, &meta) &&
                meta.shard_count > 0) {
                *ret_count = meta.shard_count;
                return true;
            }
        }
    return failed(audit, "there is no `__meta` record in %s: is this the export of a run?", audit->config->state_topic);
}

/* ---- what the replay makes ---- */

static bool next_record(void *context, struct span topic, int32_t partition, int64_t *offset, int64_t end,
                        struct original *ret_record)
{
    const struct partition_lines *lines = partition_find(context, topic, partition, false);
    size_t low = 0, high = lines ? lines->count : 0;
    while (low < high) { /* the first record at or after *offset */
        size_t middle = (low + high) / 2;
        if (lines->records[middle].offset < *offset)
            low = middle + 1;
        else
            high = middle;
    }
    if (!lines || low == lines->count || lines->records[low].offset >= end)
        return false;
    *ret_record = lines->records[low];
    *offset = ret_record->offset + 1;
    return true;
}

static void made_add(struct audit *audit, const struct record *record)
{
    static const enum output outputs[] = {
        [RECORD_TRANSITION] = OUTPUT_TRANSITION, [RECORD_ACTION] = OUTPUT_ACTION, [RECORD_DECISION] = OUTPUT_DECISION};
    const struct formats *formats = &audit->config->formats;
    bool optional =
        record->type == RECORD_DECISION && !flow_decision_wanted(DECISIONS_SENT_AND_BLOCKED, &record->decision);
    buffer_reset(&audit->buffer);
    formats->record_write(formats->context, record, &audit->buffer);
    written_add(&audit->made[outputs[record->type]], arena_copy(&audit->memory, record->customer_id),
                arena_copy(&audit->memory, buffer_span(&audit->buffer)), optional);
    if (audit->reader->emit)
        audit->reader->emit(audit->reader->context, record);
}

static void visit_add(struct audit *audit, const struct customer_visit *visit)
{
    for (const struct record *record = visit->result.records; record; record = record->next)
        made_add(audit, record);
    if (visit->result.changed)
        written_add(&audit->made[OUTPUT_STATE], arena_copy(&audit->memory, visit->customer_id),
                    arena_copy(&audit->memory, visit->result.state), false);
}

static bool shard_replay(struct audit *audit, const struct partition_lines *steps)
{
    struct arena arena;
    bool good = true;
    arena_init(&arena, 0);
    for (size_t i = 0; good && i < steps->count; i++) {
        struct step_log step;
        struct step_run run;
        arena_reset(&arena);
        if (!step_log_decode(steps->records[i].value, &arena, &step) || step.shard != steps->partition) {
            good = failed(audit, "%.*s[%d] offset %lld is no step record", (int)steps->topic.size, steps->topic.data,
                          (int)steps->partition, (long long)steps->records[i].offset);
            break;
        }
        enum replay_fault fault = replay_step(&audit->replay, &step, &run);
        if (fault != REPLAY_DONE)
            good = failed(audit, "shard %d, step %lld: %s", (int)step.shard, (long long)step.seq,
                          replay_fault_text(fault));
        for (size_t j = 0; good && j < run.visit_count; j++)
            visit_add(audit, &run.visits[j]);
        audit->report->steps++;
    }
    arena_release(&arena);
    return good;
}

static bool steps_replay(struct audit *audit)
{
    bool good = true;
    for (int32_t h = 0; good && h < audit->replay.shard_count; h++) {
        struct partition_lines *steps = partition_find(audit, span_of(audit->config->steps_topic), h, false);
        good = !steps || shard_replay(audit, steps);
    }
    return good;
}

/* ---- equal? ---- */

static int written_order(const void *a, const void *b)
{
    const struct written *left = a, *right = b;
    int order = span_compare(left->customer_id, right->customer_id);
    if (order != 0)
        return order;
    return (left->index > right->index) - (left->index < right->index);
}

static int written_order_by_value(const void *a, const void *b)
{
    const struct written *left = a, *right = b;
    int order = span_compare(left->customer_id, right->customer_id);
    return order ? order : span_compare(left->value, right->value);
}

static void optional_drop(struct written_list *made)
{
    size_t kept = 0;
    for (size_t i = 0; i < made->count; i++)
        if (!made->items[i].optional)
            made->items[kept++] = made->items[i];
    made->count = kept;
}

/* Of a sorted list: each customer's last. */
static void last_keep(struct written_list *list)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++)
        if (i + 1 == list->count || !span_equal(list->items[i].customer_id, list->items[i + 1].customer_id))
            list->items[kept++] = list->items[i];
    list->count = kept;
}

static bool same_value(const struct audit *audit, enum output output, struct span run, struct span again)
{
    uint32_t run_id, again_id;
    if (audit->foreign_ids && output != OUTPUT_STATE && wire_header_read(run, &run_id, &run))
        return wire_header_read(again, &again_id, &again) && span_equal(run, again);
    return span_equal(run, again);
}

static bool written_equal(struct audit *audit, enum output output)
{
    static const char *const names[OUTPUT_COUNT] = {"transition", "action", "decision", "state"};
    struct written_list *found = &audit->found[output], *made = &audit->made[output];
    if (output == OUTPUT_DECISION && found->count == 0)
        made->count = 0; /* decisions: off */
    if (output == OUTPUT_DECISION && found->count != made->count)
        optional_drop(made);
    bool as_set = output == OUTPUT_ACTION && audit->shadowed;
    if (found->count)
        qsort(found->items, found->count, sizeof(*found->items), as_set ? written_order_by_value : written_order);
    if (made->count)
        qsort(made->items, made->count, sizeof(*made->items), as_set ? written_order_by_value : written_order);
    if (output == OUTPUT_STATE && found->count < made->count) { /* crm.state was compacted */
        last_keep(found);
        last_keep(made);
    }
    for (size_t i = 0; i < found->count || i < made->count; i++) {
        const struct written *run = i < found->count ? &found->items[i] : NULL;
        const struct written *again = i < made->count ? &made->items[i] : NULL;
        if (run && again && span_equal(run->customer_id, again->customer_id) &&
            same_value(audit, output, run->value, again->value))
            continue;
        const struct span *customer = run ? &run->customer_id : &again->customer_id;
        return failed(audit, "%s %zu of the run (%zu) is not the replay's (%zu): customer %.*s", names[output], i + 1,
                      found->count, made->count, (int)customer->size, customer->data);
    }
    return true;
}

static bool all_equal(struct audit *audit)
{
    for (int output = 0; output < OUTPUT_COUNT; output++)
        if (!written_equal(audit, (enum output)output))
            return false;
    audit->report->transitions = audit->made[OUTPUT_TRANSITION].count;
    audit->report->actions = audit->made[OUTPUT_ACTION].count;
    audit->report->decisions = audit->made[OUTPUT_DECISION].count;
    audit->report->states = audit->made[OUTPUT_STATE].count;
    return true;
}

/* ---- the whole ---- */

static void audit_release(struct audit *audit)
{
    for (size_t i = 0; i < audit->partition_count; i++)
        free(audit->partitions[i].records);
    free(audit->partitions);
    for (int output = 0; output < OUTPUT_COUNT; output++) {
        free(audit->found[output].items);
        free(audit->made[output].items);
    }
    buffer_release(&audit->buffer);
    arena_release(&audit->memory);
}

enum replay_outcome replay_file_run(FILE *in, const struct flow_config *config, const struct replay_reader *reader,
                                    struct replay_report *ret_report)
{
    struct audit audit = {.config = config, .report = ret_report, .reader = reader};
    struct flow_config of_run = *config;
    enum replay_outcome outcome = REPLAY_UNREADABLE;
    *ret_report = (struct replay_report){0};
    arena_init(&audit.memory, 0);
    if (file_lines_read(&audit, in) && shard_count_find(&audit, &of_run.shard_count)) {
        replay_init(&audit.replay, &of_run, (struct replay_records){&audit, next_record});
        found_collect(&audit);
        playbooks_collect(&audit);
        outcome = steps_replay(&audit) && all_equal(&audit) ? REPLAY_EQUAL : REPLAY_DIFFERS;
        replay_release(&audit.replay);
    }
    audit_release(&audit);
    return outcome;
}
