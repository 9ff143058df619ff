#include "common/io/zone_files.h"

#include "common/base/check.h"
#include "common/io/data_file.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { DEPTH_MAX = 4 /* America/Argentina/Ushuaia is 3 */ };

struct loader {
    struct zones *zones;
    struct buffer bytes;
    struct buffer path;
    size_t root_size; /* of the path: the folder and its slash */
    size_t count;
};

static void load_file(struct loader *loader)
{
    buffer_reset(&loader->bytes);
    if (!file_read(loader->path.data, &loader->bytes) || loader->bytes.size < 4 ||
        memcmp(loader->bytes.data, "TZif", 4) != 0)
        return;
    struct span name = {loader->path.data + loader->root_size, loader->path.size - loader->root_size};
    loader->count += zones_add(loader->zones, name, buffer_span(&loader->bytes));
}

/* posix/ and right/ hold every zone again, right/ with leap seconds. */
static bool is_skipped(const char *name)
{
    return name[0] == '.' || strcmp(name, "posix") == 0 || strcmp(name, "right") == 0;
}

static void load_folder(struct loader *loader, int depth)
{
    DIR *folder = depth < DEPTH_MAX ? opendir(loader->path.data) : NULL;
    if (folder == NULL)
        return;
    size_t size = loader->path.size;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        struct stat status;
        if (is_skipped(entry->d_name))
            continue;
        buffer_add_text(&loader->path, entry->d_name);
        if (stat(loader->path.data, &status) == 0 && S_ISDIR(status.st_mode)) {
            buffer_add_char(&loader->path, '/');
            load_folder(loader, depth + 1);
        } else {
            load_file(loader);
        }
        loader->path.size = size;
        loader->path.data[size] = '\0';
    }
    closedir(folder);
}

/* The first line of tzdata.zi: "# version 2024a". */
static void load_version(struct loader *loader)
{
    static const char head[] = "# version ";
    buffer_add_text(&loader->path, "tzdata.zi");
    buffer_reset(&loader->bytes);
    if (!file_read(loader->path.data, &loader->bytes) || loader->bytes.size < sizeof head ||
        memcmp(loader->bytes.data, head, sizeof head - 1) != 0)
        return;
    const char *version = loader->bytes.data + sizeof head - 1;
    zones_set_version(loader->zones, (struct span){version, strcspn(version, "\r\n")});
}

struct zones *zone_files_load(const char **ret_folder)
{
    const char *folder = getenv("TZDIR");
    *ret_folder = folder != NULL && folder[0] != '\0' ? folder : "/usr/share/zoneinfo";
    struct loader loader = {.zones = zones_new()};
    buffer_add_text(&loader.path, *ret_folder);
    buffer_add_char(&loader.path, '/');
    loader.root_size = loader.path.size;
    load_folder(&loader, 0);
    load_version(&loader);
    buffer_release(&loader.bytes);
    buffer_release(&loader.path);
    if (loader.count != 0)
        return loader.zones;
    zones_free(loader.zones);
    return NULL;
}
