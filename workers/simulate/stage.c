#include "workers/simulate/stage.h"

#include "common/base/check.h"
#include "common/codec/record_json.h"

enum { FIRST_CAPACITY = 64 };

struct staged {
    size_t id_offset; /* in text; the line follows the id */
    size_t id_size;
    size_t line_size;
    int64_t seq;
    const char *text; /* set for the sort */
};

void stage_init(struct stage *stage, FILE *out)
{
    *stage = (struct stage){.out = out, .at = NEVER};
}

void stage_release(struct stage *stage)
{
    buffer_release(&stage->text);
    free(stage->items);
    *stage = (struct stage){0};
}

static struct staged *next_item(struct stage *stage)
{
    if (stage->count == stage->capacity) {
        stage->capacity = stage->capacity ? 2 * stage->capacity : FIRST_CAPACITY;
        stage->items = realloc(stage->items, stage->capacity * sizeof *stage->items);
        CHECK(stage->items != NULL);
    }
    return &stage->items[stage->count++];
}

void stage_add(struct stage *stage, const struct record *record)
{
    if (record->at != stage->at)
        stage_flush(stage);
    stage->at = record->at;
    struct staged *item = next_item(stage);
    *item = (struct staged){.id_offset = stage->text.size, .id_size = record->customer_id.size, .seq = record->seq};
    buffer_add_span(&stage->text, record->customer_id);
    size_t line = stage->text.size;
    record_json_write(record, &stage->text);
    buffer_add_char(&stage->text, '\n');
    item->line_size = stage->text.size - line;
}

static int compare_items(const void *a, const void *b)
{
    const struct staged *x = a, *y = b;
    int order = span_compare((struct span){x->text + x->id_offset, x->id_size},
                             (struct span){y->text + y->id_offset, y->id_size});
    if (order != 0)
        return order;
    return (x->seq > y->seq) - (x->seq < y->seq);
}

void stage_flush(struct stage *stage)
{
    for (size_t i = 0; i < stage->count; i++)
        stage->items[i].text = stage->text.data;
    if (stage->count > 1)
        qsort(stage->items, stage->count, sizeof *stage->items, compare_items);
    for (size_t i = 0; i < stage->count; i++) {
        const struct staged *item = &stage->items[i];
        fwrite(stage->text.data + item->id_offset + item->id_size, 1, item->line_size, stage->out);
    }
    stage->count = 0;
    buffer_reset(&stage->text);
}
