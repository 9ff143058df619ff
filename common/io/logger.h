/* Structured logs on standard error: one JSON object a line, or plain text on a terminal. Only the top of the program
 * logs; library code returns what went wrong. One thread writes a line whole; lines of several threads do not mix. */
#ifndef ORIORI_IO_LOGGER_H
#define ORIORI_IO_LOGGER_H

#include "common/io/config.h"

enum logger_type { LOGGER_END, LOGGER_TEXT, LOGGER_INTEGER };
struct logger_field {
    enum logger_type type;
    const char *name;
    const char *text; /* NULL is written as null */
    int64_t integer;
};

#define LOG_TEXT(name, value)    ((struct logger_field){LOGGER_TEXT, (name), (value), 0})
#define LOG_INTEGER(name, value) ((struct logger_field){LOGGER_INTEGER, (name), NULL, (int64_t)(value)})

/* logger(CONFIG_LEVEL_INFO, "batch committed", LOG_INTEGER("events", 12), LOG_TEXT("topic", "crm.orders")); */
#define logger(level, ...)                 LOGGER_WRITE_((level), __VA_ARGS__, ((struct logger_field){LOGGER_END, NULL, NULL, 0}))
#define LOGGER_WRITE_(level, message, ...) logger_write((level), (message), (const struct logger_field[]){__VA_ARGS__})

/* Lines below `level` are dropped. CONFIG_FORMAT_AUTO: text on a terminal, else JSON. */
void logger_init(enum config_level level, enum config_format format);
/* The threshold at run time; any thread. */
void logger_level_set(enum config_level level);
enum config_level logger_level(void);
const char *logger_level_name(enum config_level level);                 /* "debug" ... */
bool logger_level_find(const char *name, enum config_level *ret_level); /* false: no such level */

void logger_write(enum config_level level, const char *message, const struct logger_field *fields);

/* One line as logger_write prints it (for tests); at_ms = UTC ms. */
void logger_line(struct buffer *line, bool json, int64_t at_ms, enum config_level level, const char *message,
                 const struct logger_field *fields);

#endif
