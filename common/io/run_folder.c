#include "common/io/run_folder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool run_folder_read(const char *folder, const char *topic, void (*take)(void *context, struct span line),
                     void *context, struct buffer *error)
{
    struct buffer path = {0};
    char *line = NULL;
    size_t capacity = 0;
    buffer_format(&path, "%s/%s.jsonl", folder, topic);
    FILE *file = fopen(path.data, "r");
    for (ssize_t size; file != NULL && (size = getline(&line, &capacity, file)) > 0;)
        take(context, (struct span){line, (size_t)size - (line[size - 1] == '\n')});
    bool good = file != NULL && !ferror(file);
    if (!good)
        buffer_format(error, "cannot read %s: %s", path.data, strerror(errno));
    if (file != NULL)
        fclose(file);
    free(line);
    buffer_release(&path);
    return good;
}
