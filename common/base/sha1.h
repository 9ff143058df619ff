/* One block of SHA-1, by the processor's own instructions where it has them: a holdout asks for a hash (R72), an action for
 * another (R77), and libmd's takes 1,300 instructions and, unrolled as it is, a seventh of the code cache. */
#ifndef ORIORI_BASE_SHA1_H
#define ORIORI_BASE_SHA1_H

#include <stdint.h>

enum { SHA1_BLOCK_SIZE = 64 };

/* Takes the block's 64 bytes into the state of five words. */
void sha1_block(uint32_t state[5], const unsigned char *block);

#endif
