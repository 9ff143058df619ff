/* Reads the system's tz database into the pure tables of zone.h. Done once at start. */
#ifndef ORIORI_IO_ZONES_LOAD_H
#define ORIORI_IO_ZONES_LOAD_H

#include "common/base/zone.h"

/* Every zone below the directory (NULL: the TZDIR variable, else /usr/share/zoneinfo) under its name ("Asia/Tokyo"),
 * and the database's version. Files that are no TZif are skipped, and so are posix/ and right/ (other spellings of the
 * same). NULL, with a sentence in ret_error, when the directory cannot be read or holds no zone. The caller frees. */
enum { ZONES_ERROR_SIZE = 256 };
struct zones *zones_load(const char *directory, char ret_error[ZONES_ERROR_SIZE]);

#endif
