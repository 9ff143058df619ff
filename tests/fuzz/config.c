#define _GNU_SOURCE /* memfd_create */
#include "common/io/config.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config config;
    struct buffer errors = {0};
    char path[64];
    int file = memfd_create("config", 0);
    CHECK(file >= 0 && (size == 0 || write(file, data, size) == (ssize_t)size));
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    bool good = config_load(&config, path, &errors);
    CHECK(good == (errors.size == 0));
    config_release(&config);
    buffer_release(&errors);
    close(file);
    return 0;
}
