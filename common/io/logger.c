#include "common/io/logger.h"

#include "common/base/timestamp.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static int threshold = CONFIG_LEVEL_INFO; /* atomic: the monitor's thread sets it too */
static bool as_json = true;

void logger_init(enum config_level level, enum config_format format)
{
    logger_level_set(level);
    as_json = format == CONFIG_FORMAT_JSON || (format == CONFIG_FORMAT_AUTO && !isatty(STDERR_FILENO));
}

void logger_level_set(enum config_level level)
{
    __atomic_store_n(&threshold, (int)level, __ATOMIC_RELAXED);
}

enum config_level logger_level(void)
{
    return (enum config_level)__atomic_load_n(&threshold, __ATOMIC_RELAXED);
}

const char *logger_level_name(enum config_level level)
{
    return level_names[level];
}

bool logger_level_find(const char *name, enum config_level *ret_level)
{
    for (int level = CONFIG_LEVEL_DEBUG; level <= CONFIG_LEVEL_ERROR; level++) {
        if (strcmp(level_names[level], name) == 0) {
            *ret_level = (enum config_level)level;
            return true;
        }
    }
    return false;
}

static void add_quoted(struct buffer *line, const char *text)
{
    buffer_add_char(line, '"');
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '"' || *c == '\\')
            buffer_add_char(line, '\\');
        if (*c < 0x20)
            buffer_format(line, "\\u%04x", *c);
        else
            buffer_add_char(line, (char)*c);
    }
    buffer_add_char(line, '"');
}

static void add_json(struct buffer *line, const char *at, enum config_level level, const char *message,
                     const struct logger_field *fields)
{
    buffer_format(line, "{\"at\":\"%s\",\"level\":\"%s\",\"message\":", at, level_names[level]);
    add_quoted(line, message);
    for (; fields->type != LOGGER_END; fields++) {
        buffer_add_char(line, ',');
        add_quoted(line, fields->name);
        buffer_add_char(line, ':');
        if (fields->type == LOGGER_INTEGER)
            buffer_add_integer(line, fields->integer);
        else if (fields->text)
            add_quoted(line, fields->text);
        else
            buffer_add_text(line, "null");
    }
    buffer_add_text(line, "}\n");
}

/* Control characters in a value (an id from outside) must not break the line or drive the terminal. */
static void add_plain(struct buffer *line, const char *name, const char *text)
{
    buffer_format(line, " %s=", name);
    for (; *text; text++)
        buffer_add_char(line, (unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text);
}

static void add_text(struct buffer *line, const char *at, enum config_level level, const char *message,
                     const struct logger_field *fields)
{
    buffer_format(line, "%s %-5s %s", at, level_names[level], message);
    for (; fields->type != LOGGER_END; fields++) {
        if (fields->type == LOGGER_INTEGER)
            buffer_format(line, " %s=%lld", fields->name, (long long)fields->integer);
        else
            add_plain(line, fields->name, fields->text ? fields->text : "-");
    }
    buffer_add_char(line, '\n');
}

void logger_line(struct buffer *line, bool json, int64_t at_ms, enum config_level level, const char *message,
                 const struct logger_field *fields)
{
    char at[TIMESTAMP_TEXT_SIZE];
    timestamp_text(at_ms, at);
    (json ? add_json : add_text)(line, at, level, message, fields);
}

void logger_write(enum config_level level, const char *message, const struct logger_field *fields)
{
    if (level < logger_level())
        return;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct buffer line = {0};
    logger_line(&line, as_json, now.tv_sec * SECOND_MS + now.tv_nsec / 1000000, level, message, fields);
    fwrite(line.data, 1, line.size, stderr); /* one call: lines of several threads stay whole */
    buffer_release(&line);
}
