/* The decoder, asked by compare.py. Each case is four lines: an input's name, the reader's schema, the writer's, a
 * datum in hex. The answer is one line: the event in hex as our own writer writes it (schemas/, wire header and all),
 * or "refused REASON". */
#include "common/base/check.h"
#include "common/codec/avro_binary.h"
#include "common/codec/avro_write.h"
#include "common/codec/schema_set.h"

#include <stdio.h>
#include <stdlib.h>

enum { LINES = 4 };

static struct span chomped(char *line, ssize_t size)
{
    while (size > 0 && line[size - 1] == '\n')
        size--;
    return (struct span){line, (size_t)size};
}

static unsigned nibble(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static void add_hex(struct buffer *value, struct span hex)
{
    for (size_t i = 0; i + 1 < hex.size; i += 2)
        buffer_add_char(value, (char)(nibble(hex.data[i]) << 4 | nibble(hex.data[i + 1])));
}

static void answer(const struct span lines[LINES])
{
    struct schema_set *set = schema_set_new();
    struct buffer value = {0}, again = {0}, error = {0};
    struct arena arena;
    struct event event;
    const char *field;
    enum topic topic;
    arena_init(&arena, 0);
    CHECK(topic_find(lines[0], &topic) && schema_set_read_as(set, topic, lines[1]));
    if (!schema_set_add(set, 1, lines[2], &error)) {
        printf("refused %s\n", error.data);
    } else {
        wire_header_add(&value, 1);
        add_hex(&value, lines[3]);
        enum reason reason = schema_set_read_event(set, topic, buffer_span(&value), &arena, &event, &field);
        if (reason == REASON_NONE)
            event_avro_write(&event, NULL, &again);
        else
            printf("refused %s %s", reason_name(reason), field ? field : "");
        for (size_t i = 0; i < again.size; i++)
            printf("%02x", (unsigned char)again.data[i]);
        putchar('\n');
    }
    buffer_release(&value);
    buffer_release(&again);
    buffer_release(&error);
    arena_release(&arena);
    schema_set_free(set);
}

int main(void)
{
    char *text[LINES] = {0};
    size_t capacity[LINES] = {0};
    for (;;) {
        struct span lines[LINES];
        for (int i = 0; i < LINES; i++) {
            ssize_t size = getline(&text[i], &capacity[i], stdin);
            if (size < 0) {
                for (int j = 0; j < LINES; j++)
                    free(text[j]);
                return i == 0 ? 0 : 1;
            }
            lines[i] = chomped(text[i], size);
        }
        answer(lines);
        fflush(stdout);
    }
}
