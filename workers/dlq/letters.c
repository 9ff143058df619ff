#include "workers/dlq/letters.h"

#include "common/base/check.h"
#include "common/io/topic_reader.h"

#include <stdio.h>
#include <stdlib.h>

struct mark {
    int32_t partition;
    int64_t offset;
    enum letter_fate fate;
    int64_t at;
};

struct reading {
    struct letters *letters;
    const struct letters_filter *filter;
    struct mark *marks;
    size_t mark_count, mark_capacity;
};

static int64_t time_of(const rd_kafka_message_t *message)
{
    rd_kafka_timestamp_type_t type;
    return rd_kafka_message_timestamp(message, &type);
}

/* ---- marks ---- */

static bool header_text(const rd_kafka_message_t *message, const char *name, char *ret_text, size_t capacity)
{
    rd_kafka_headers_t *headers;
    const void *value;
    size_t size;
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        rd_kafka_header_get_last(headers, name, &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR || size >= capacity)
        return false;
    if (size)
        memcpy(ret_text, value, size);
    ret_text[size] = '\0';
    return true;
}

/* False: the message is no mark. */
static bool mark_take(struct reading *reading, const rd_kafka_message_t *message)
{
    char letter[48], mark[16];
    int partition;
    long long offset;
    if (message->payload != NULL || !header_text(message, "mark", mark, sizeof(mark)))
        return false;
    if (!header_text(message, "letter", letter, sizeof(letter)) || sscanf(letter, "%d:%lld", &partition, &offset) != 2)
        return false;
    if (reading->mark_count == reading->mark_capacity) {
        reading->mark_capacity = reading->mark_capacity ? reading->mark_capacity * 2 : 64;
        reading->marks = realloc(reading->marks, reading->mark_capacity * sizeof(*reading->marks));
        CHECK(reading->marks);
    }
    reading->marks[reading->mark_count++] = (struct mark){
        partition, offset, strcmp(mark, "dropped") == 0 ? LETTER_DROPPED : LETTER_REDRIVEN, time_of(message)};
    return true;
}

static int dead_order(const void *a, const void *b)
{
    const struct dead *x = a, *y = b;
    if (x->partition != y->partition)
        return x->partition < y->partition ? -1 : 1;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static void marks_apply(struct reading *reading)
{
    struct letters *letters = reading->letters;
    if (letters->count)
        qsort(letters->items, letters->count, sizeof(*letters->items), dead_order);
    for (size_t i = 0; i < reading->mark_count && letters->count; i++) {
        const struct mark *mark = &reading->marks[i];
        struct dead key = {.partition = mark->partition, .offset = mark->offset};
        struct dead *dead = bsearch(&key, letters->items, letters->count, sizeof(key), dead_order);
        if (dead) {
            dead->fate = mark->fate;
            dead->fate_at = mark->at;
        }
    }
}

/* ---- letters ---- */

static bool place_wanted(const struct letters_filter *filter, const rd_kafka_message_t *message)
{
    char place[48];
    snprintf(place, sizeof(place), "%d:%lld", (int)message->partition, (long long)message->offset);
    for (size_t i = 0; i < filter->place_count; i++)
        if (strcmp(filter->places[i], place) == 0)
            return true;
    return filter->place_count == 0;
}

static bool wanted(const struct letters_filter *filter, const struct dead *dead)
{
    return (filter->reason == NULL || strcmp(reason_name(dead->letter.reason), filter->reason) == 0) &&
           (filter->topic == NULL || span_equal(dead->letter.original.topic, span_of(filter->topic))) &&
           (filter->from == NEVER || dead->at >= filter->from) && (filter->to == NEVER || dead->at < filter->to);
}

static void letter_add(struct letters *letters, const struct dead *dead)
{
    if (letters->count == letters->capacity) {
        letters->capacity = letters->capacity ? letters->capacity * 2 : 64;
        letters->items = realloc(letters->items, letters->capacity * sizeof(*letters->items));
        CHECK(letters->items);
    }
    letters->items[letters->count++] = *dead;
}

static void take(void *context, const rd_kafka_message_t *message)
{
    struct reading *reading = context;
    struct letters *letters = reading->letters;
    struct dead dead = {.partition = message->partition, .offset = message->offset, .at = time_of(message)};
    if (mark_take(reading, message) || !place_wanted(reading->filter, message))
        return;
    struct span value = arena_copy(&letters->arena, (struct span){message->payload, message->len});
    if (!dead_letter_decode(value, &letters->arena, &dead.letter))
        letters->unreadable++;
    else if (wanted(reading->filter, &dead)) {
        if (message->key)
            dead.key = arena_copy(&letters->arena, (struct span){message->key, message->key_len});
        letter_add(letters, &dead);
    }
}

bool letters_read(struct letters *letters, struct config *config, const struct letters_filter *filter,
                  struct buffer *error)
{
    struct reading reading = {.letters = letters, .filter = filter};
    *letters = (struct letters){0};
    arena_init(&letters->arena, 0);
    bool good = topic_read(config, config_topic(config, "dead"), take, &reading, error);
    marks_apply(&reading);
    free(reading.marks);
    return good;
}

void letters_release(struct letters *letters)
{
    free(letters->items);
    arena_release(&letters->arena);
}
