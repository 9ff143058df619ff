/* CHECK is for a programmer's error only: always on, prints where and what, aborts. The batch replays. Bad data and the
 * outside world have spellings of their own (enum reason, enum outcome). */
#ifndef ORIORI_BASE_CHECK_H
#define ORIORI_BASE_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                                            \
    do {                                                                                            \
        if (!(condition)) {                                                                         \
            fprintf(stderr, "oriori: check failed at %s:%d: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                                \
        }                                                                                           \
    } while (0)

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#endif
