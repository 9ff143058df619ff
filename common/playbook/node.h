/* A YAML text as a tree of nodes that know their place in the file, so that errors can name it.
 *
 * Only the plain part of YAML is taken: one document of maps, lists and scalars, UTF-8. Anchors, aliases and tags are
 * refused, depth and size are bounded: a hostile file costs no more than an honest one of its size. */
#ifndef ORIORI_PLAYBOOK_NODE_H
#define ORIORI_PLAYBOOK_NODE_H

#include "common/base/arena.h"
#include "common/base/span.h"

enum { NODE_DEPTH_MAX = 12, NODE_FILE_SIZE_MAX = 1 << 20, NODE_KEYS_MAX = 1000 };

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

struct node {
    enum node_kind kind;
    int line, column;   /* from 1; columns in characters */
    struct span text;   /* NODE_SCALAR */
    bool quoted;        /* the scalar was written in quotes or as a block: never a number, true, or nothing */
    struct node *first; /* NODE_LIST, NODE_MAP: items in order */
    struct node *next;
    struct span key; /* of an item of a map; keys of a map differ */
    int key_line, key_column;
};

/* Told once for each thing wrong. message is a whole sentence and lives only during the call. */
typedef void node_complaint(void *context, int line, int column, const char *message);

/* NULL when there is no tree to go on with. A tree may be returned though something was complained about. */
struct node *node_parse(struct arena *arena, struct span yaml, node_complaint *complain, void *context);

const struct node *node_find(const struct node *map, const char *key); /* NULL: no such key, or no map */

/* "a list", "nothing", "\"soon\"" ... into text, cut to fit: what was found, for errors. */
enum { NODE_FOUND_SIZE = 96 };
void node_found(const struct node *node, char ret_text[NODE_FOUND_SIZE]);

/* Written as nothing at all, or ~ or null. */
bool node_nothing(const struct node *node);

#endif
