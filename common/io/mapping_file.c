#include "common/io/mapping_file.h"

#include "common/io/data_file.h"

#include <errno.h>

static bool is_path(const char *name)
{
    size_t size = strlen(name);
    return strchr(name, '/') != NULL || (size > 5 && strcmp(name + size - 5, ".yaml") == 0);
}

static bool find_shipped(const char *name, struct buffer *path)
{
    struct buffer file = {0};
    buffer_format(&file, "mappings/%s.yaml", name);
    bool found = data_file_find(file.data, path);
    buffer_release(&file);
    return found;
}

struct mapping *mapping_file_open(const char *name, struct buffer *error)
{
    struct buffer path = {0}, text = {0};
    struct playbook_errors errors = {0};
    struct mapping *mapping = NULL;
    if (is_path(name))
        buffer_add_text(&path, name);
    else if (!find_shipped(name, &path))
        buffer_format(error, "no mapping of the name \"%s\" ships with this program\n", name);
    if (path.size && !file_read(path.data, &text))
        buffer_format(error, "cannot read the mapping %s: %s\n", path.data, strerror(errno));
    else if (path.size)
        mapping = mapping_compile(buffer_span(&text), path.data, &errors);
    buffer_add_span(error, buffer_span(&errors.text));
    buffer_release(&errors.text);
    buffer_release(&text);
    buffer_release(&path);
    return mapping;
}
