/* The system's time zone database into common/base/zone.h's tables: once at start, because core code reads no files. */
#ifndef ORIORI_IO_ZONE_FILES_H
#define ORIORI_IO_ZONE_FILES_H

#include "common/base/zone.h"

/* All zones below the folder ($TZDIR, else /usr/share/zoneinfo), and the database's version where it is told. NULL: the
 * folder has none; *ret_folder says which was looked at. */
struct zones *zone_files_load(const char **ret_folder);

#endif
