#include "common/codec/name_table.h"

#include "common/base/check.h"

void name_table_add(struct name_table *table, struct span name, const char *behind, unsigned number)
{
    char written[NAME_WRITTEN_MAX + 1];
    int size = snprintf(written, sizeof written, "\"%.*s%s", (int)name.size, name.data, behind);
    CHECK(name.size >= NAME_SIZE_LEAST && size <= NAME_WRITTEN_MAX && ++table->count <= NAMES_MAX);
    size_t slot = name_slot(written + 1);
    while (table->slots[slot].size != 0)
        slot = (slot + 1) % NAME_SLOTS;
    table->slots[slot] = (struct name){.size = (uint32_t)size, .number = number};
    memcpy(table->slots[slot].written, written, (size_t)size);
}
