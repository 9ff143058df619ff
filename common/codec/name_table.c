#include "common/codec/name_table.h"

#include "common/base/check.h"

void name_table_add(struct name_table *table, struct span name, const char *behind, unsigned number)
{
    struct name *to = &table->names[table->count++];
    CHECK(table->count <= NAMES_MAX && name.size >= NAME_SIZE_LEAST);
    char written[NAME_WRITTEN_MAX + 1];
    int size = snprintf(written, sizeof written, "\"%.*s%s", (int)name.size, name.data, behind);
    CHECK(size > 0 && size <= NAME_WRITTEN_MAX);
    *to = (struct name){.size = (uint32_t)size, .number = number};
    memcpy(to->written, written, (size_t)size);
    size_t slot = name_slot(written + 1);
    while (table->slots[slot] != 0)
        slot = (slot + 1) % NAME_SLOTS;
    table->slots[slot] = (uint8_t)table->count;
}
