#include "common/io/data_file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PORTION_SIZE = 64 * 1024, FOLDERS_ABOVE_MAX = 4 };

bool file_read(const char *path, struct buffer *buffer)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return false;
    size_t size;
    do {
        char *room = buffer_extend(buffer, PORTION_SIZE);
        size = fread(room, 1, PORTION_SIZE, file);
        buffer->size -= PORTION_SIZE - size;
    } while (size == PORTION_SIZE);
    int error = ferror(file) ? errno : 0;
    fclose(file);
    buffer_add(buffer, "", 0); /* the NUL behind the end */
    errno = error;
    return error == 0;
}

static bool is_there(struct buffer *path, const char *name)
{
    buffer_add_char(path, '/');
    buffer_add_text(path, name);
    return access(path->data, R_OK) == 0;
}

/* The program's folder. */
static bool add_program_folder(struct buffer *path)
{
    char program[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", program, sizeof program);
    if (size <= 0 || (size_t)size == sizeof program)
        return false;
    while (size > 0 && program[size - 1] != '/')
        size--;
    buffer_add(path, program, (size_t)size);
    return true;
}

bool data_file_find(const char *name, struct buffer *ret_path)
{
    struct buffer path = {0};
    const char *folder = getenv("ORIORI_DATA_DIR");
    bool found = false;
    if (folder != NULL) {
        buffer_add_text(&path, folder);
        found = is_there(&path, name);
    }
    for (int above = 0; !found && above <= FOLDERS_ABOVE_MAX; above++) {
        buffer_reset(&path);
        if (!add_program_folder(&path))
            break;
        for (int i = 1; i < above; i++)
            buffer_add_text(&path, "../");
        buffer_add_text(&path, above == 0 ? "../share/oriori" : "schemas");
        found = is_there(&path, name);
    }
    if (found)
        buffer_add_span(ret_path, buffer_span(&path));
    buffer_release(&path);
    return found;
}

bool data_file_playbook(struct buffer *ret_path)
{
    const char *path = getenv("ORIORI_PLAYBOOK");
    if (path == NULL || path[0] == '\0')
        return data_file_find("playbook.yaml", ret_path);
    buffer_add_text(ret_path, path);
    return true;
}
