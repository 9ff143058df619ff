#include "common/io/zones_load.h"

#include "common/base/buffer.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { DEPTH_MAX = 4, ZONE_FILE_SIZE_MAX = 1 << 20 };

/* False when the file cannot be read or is far larger than any zone. */
static bool file_read(const char *path, struct buffer *buffer, size_t size_max)
{
    char chunk[8192];
    size_t size;
    FILE *file = fopen(path, "rb");
    buffer_reset(buffer);
    if (file == NULL)
        return false;
    while ((size = fread(chunk, 1, sizeof chunk, file)) > 0 && buffer->size <= size_max)
        buffer_add(buffer, chunk, size);
    bool good = !ferror(file) && buffer->size <= size_max;
    fclose(file);
    return good;
}

static void directory_load(struct zones *zones, const char *directory, const char *prefix, int depth, size_t *count);

static void entry_load(struct zones *zones, const char *path, const char *name, int depth, size_t *count)
{
    struct buffer bytes = {0};
    struct stat info;
    if (stat(path, &info) != 0)
        return;
    if (S_ISDIR(info.st_mode) && depth < DEPTH_MAX && strcmp(name, "posix") != 0 && strcmp(name, "right") != 0)
        directory_load(zones, path, name, depth + 1, count);
    if (S_ISREG(info.st_mode) && info.st_size <= ZONE_FILE_SIZE_MAX && file_read(path, &bytes, ZONE_FILE_SIZE_MAX) &&
        zones_add(zones, span_of(name), buffer_span(&bytes)))
        (*count)++;
    buffer_release(&bytes);
}

static void directory_load(struct zones *zones, const char *directory, const char *prefix, int depth, size_t *count)
{
    DIR *entries = opendir(directory);
    if (entries == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        char path[1024], name[512];
        if (entry->d_name[0] == '.')
            continue;
        int path_size = snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        int name_size = snprintf(name, sizeof name, "%s%s%s", prefix, prefix[0] ? "/" : "", entry->d_name);
        if (path_size < (int)sizeof path && name_size < (int)sizeof name)
            entry_load(zones, path, name, depth, count);
    }
    closedir(entries);
}

/* tzdata.zi begins "# version 2024a"; some systems have a file +VERSION instead. */
static void version_load(struct zones *zones, const char *directory)
{
    static const char start[] = "# version ";
    static const char *const files[] = {"tzdata.zi", "+VERSION"};
    for (size_t i = 0; i < sizeof files / sizeof files[0] && span_empty(zones_version(zones)); i++) {
        char path[1024], line[64] = "";
        snprintf(path, sizeof path, "%s/%s", directory, files[i]);
        FILE *file = fopen(path, "r");
        if (file == NULL)
            continue;
        const char *text = fgets(line, sizeof line, file) != NULL ? line : "";
        if (i == 0)
            text = strncmp(text, start, sizeof start - 1) == 0 ? text + sizeof start - 1 : "";
        zones_set_version(zones, (struct span){text, strcspn(text, "\r\n")});
        fclose(file);
    }
}

struct zones *zones_load(const char *directory, char ret_error[ZONES_ERROR_SIZE])
{
    const char *variable = getenv("TZDIR");
    size_t count = 0;
    if (directory == NULL)
        directory = variable != NULL && variable[0] != '\0' ? variable : "/usr/share/zoneinfo";
    struct zones *zones = zones_new();
    directory_load(zones, directory, "", 0, &count);
    version_load(zones, directory);
    if (count > 0)
        return zones;
    snprintf(ret_error, ZONES_ERROR_SIZE, "no time zones in %s (install the package tzdata)", directory);
    zones_free(zones);
    return NULL;
}
