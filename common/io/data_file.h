/* Reading whole files, and finding the ones that ship with the program (the default playbook, the schemas). */
#ifndef ORIORI_IO_DATA_FILE_H
#define ORIORI_IO_DATA_FILE_H

#include "common/base/buffer.h"

/* Appends the file's bytes. False: errno says why; the buffer may have grown. */
bool file_read(const char *path, struct buffer *buffer);

/* Appends the path of the first file of that name that is there: in $ORIORI_DATA_DIR, in ../share/oriori beside the
 * program's folder (installed), in schemas/ of the folders above the program (a build tree). False: in none of them. */
bool data_file_find(const char *name, struct buffer *ret_path);

/* The playbook to use when none is named: $ORIORI_PLAYBOOK, else the shipped playbook.yaml. */
bool data_file_playbook(struct buffer *ret_path);

#endif
