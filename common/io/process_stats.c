#include "common/io/process_stats.h"

#include "common/base/exposition.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { START_FIELD = 22 /* of /proc/self/stat: when it began, in ticks after boot */ };

static void write_one(struct buffer *text, enum exposition_type type, const char *name, const char *help, double value)
{
    if (value >= 0)
        exposition_shared(text, type, name, help, value);
}

/* Below 0 = cannot be read, here and in what follows. */
static double resident_bytes(void)
{
    long size, resident = -1;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file)
        return -1;
    if (fscanf(file, "%ld %ld", &size, &resident) != 2)
        resident = -1;
    fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static double descriptor_count(void)
{
    double count = -3; /* ".", "..", and the one that looks */
    DIR *folder = opendir("/proc/self/fd");
    if (!folder)
        return -1;
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

static double descriptor_max(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? (double)limit.rlim_cur : -1;
}

static double cpu_seconds(void)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return -1;
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* The program's name is in parentheses and may hold anything. */
static double start_ticks(void)
{
    char line[1024];
    unsigned long long ticks;
    FILE *file = fopen("/proc/self/stat", "r");
    const char *at = file && fgets(line, sizeof(line), file) ? strrchr(line, ')') : NULL;
    if (file)
        fclose(file);
    for (int field = 2; at && field < START_FIELD; field++)
        at = strchr(at + 1, ' ');
    return at && sscanf(at, "%llu", &ticks) == 1 ? (double)ticks : -1;
}

static double boot_seconds(void)
{
    char line[256];
    double seconds = -1;
    FILE *file = fopen("/proc/stat", "r");
    while (file && seconds < 0 && fgets(line, sizeof(line), file))
        if (sscanf(line, "btime %lf", &seconds) != 1)
            seconds = -1;
    if (file)
        fclose(file);
    return seconds;
}

/* Asked once: when the machine began moves with its clock, and a process that seems to begin anew looks restarted. */
static double start_seconds(void)
{
    static double known = -1;
    if (known < 0) {
        double boot = boot_seconds(), ticks = start_ticks();
        known = boot < 0 || ticks < 0 ? -1 : boot + ticks / (double)sysconf(_SC_CLK_TCK);
    }
    return known;
}

void process_stats_write(struct buffer *text)
{
    write_one(text, EXPOSITION_COUNTER, "process_cpu_seconds_total", "CPU time of this process, user and system.",
              cpu_seconds());
    write_one(text, EXPOSITION_GAUGE, "process_resident_memory_bytes", "Resident memory of this process.",
              resident_bytes());
    write_one(text, EXPOSITION_GAUGE, "process_open_fds", "Open file descriptors of this process.", descriptor_count());
    write_one(text, EXPOSITION_GAUGE, "process_max_fds", "File descriptors that it may open.", descriptor_max());
    write_one(text, EXPOSITION_GAUGE, "process_start_time_seconds", "When this process began, seconds since 1970.",
              start_seconds());
}
