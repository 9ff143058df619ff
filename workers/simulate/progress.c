#include "workers/simulate/progress.h"

#include "common/base/timestamp.h"

#include <sys/stat.h>
#include <time.h>

enum { LINES_BETWEEN = 4096, SHOW_EVERY_MS = 200, BAR_WIDTH = 30 };

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * SECOND_MS + now.tv_nsec / 1000000;
}

void progress_start(struct progress *progress, FILE *in)
{
    struct stat status;
    *progress = (struct progress){.on = in != NULL};
    if (in == NULL)
        return;
    if (fstat(fileno(in), &status) == 0 && S_ISREG(status.st_mode))
        progress->size = status.st_size;
    progress->started_ms = progress->shown_ms = now_ms();
}

static void show(struct progress *progress, int64_t now, int64_t clock)
{
    char date[TIMESTAMP_TEXT_SIZE] = "";
    if (clock != NEVER)
        timestamp_text(clock, date);
    fputs("\r\033[K", stderr);
    if (progress->size > 0) {
        int done = (int)(progress->bytes * BAR_WIDTH / progress->size);
        fprintf(stderr, "[%.*s%*s] ", done, "##############################", BAR_WIDTH - done, "");
    }
    int64_t elapsed = now - progress->started_ms;
    fprintf(stderr, "%lld events, %lld/s, at %.10s", (long long)progress->lines,
            (long long)(elapsed > 0 ? progress->lines * SECOND_MS / elapsed : 0), date);
    progress->shown = true;
    progress->shown_ms = now;
}

void progress_line(struct progress *progress, size_t bytes, int64_t clock)
{
    progress->lines++;
    progress->bytes += (int64_t)bytes;
    if (!progress->on || progress->lines % LINES_BETWEEN != 0)
        return;
    int64_t now = now_ms();
    if (now - progress->shown_ms >= SHOW_EVERY_MS)
        show(progress, now, clock);
}

void progress_clear(struct progress *progress)
{
    if (progress->shown)
        fputs("\r\033[K", stderr);
    progress->shown = false;
}
