/* RSA signatures eight at a time, one in each lane of the processor's vectors, by libcrypto_mb. */

#include "signing.h"

#include <stdlib.h>
#include <string.h>

enum { SHA256_OCTETS = 32, MOST_OCTETS = 512 }; /* 512: RSA-4096 */

/* RFC 8017 section 9.2, note 1: what stands before a SHA-256. */
static const unsigned char NAMED_SHA256[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                             0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};

/* EMSA-PKCS1-v1_5 with SHA-256 (RFC 8017 section 9.2). Returns 0 if the hash could not be made. */
static int encode(const struct multi_buffer *with, const void *digest, const unsigned char *data,
                  size_t size, unsigned char *made, size_t length)
{
  size_t named = length - SHA256_OCTETS - sizeof NAMED_SHA256;

  made[0] = 0;
  made[1] = 1;
  memset(made + 2, 0xff, named - 3);
  made[named - 1] = 0;
  memcpy(made + named, NAMED_SHA256, sizeof NAMED_SHA256);
  return with->hash(data, size, made + length - SHA256_OCTETS, NULL, digest, NULL) == 1;
}

/* Every signature is opened again with the public key before it counts: one that went wrong in the
 * Chinese remainder step would give the key away (Boneh, DeMillo and Lipton, 1997).
 */
void ekiden_sign_lanes(struct order *order)
{
  const struct multi_buffer *with = order->multi;
  const struct rsa_key *key = order->numbers;
  unsigned char encoded[LANES][MOST_OCTETS], opened[LANES][MOST_OCTETS], spare[MOST_OCTETS];
  const unsigned char *from[LANES], *signed_[LANES];
  unsigned char *to[LANES], *back[LANES];
  const uint64_t *p[LANES], *q[LANES], *dp[LANES], *dq[LANES], *inverse_q[LANES], *n[LANES];
  size_t length = (size_t)key->bits / 8, lane;
  unsigned char *room;

  if (length != order->length || length > MOST_OCTETS || (room = malloc(with->room)) == NULL)
    return;
  for (lane = 0; lane < LANES; lane++) {
    p[lane] = key->p, q[lane] = key->q, dp[lane] = key->dp, dq[lane] = key->dq;
    inverse_q[lane] = key->inverse_q, n[lane] = key->n;
    back[lane] = opened[lane];
  }
  while (order->done < order->count && order->count - order->done >= with->least) {
    size_t left = order->count - order->done, taken = left < LANES ? left : LANES;

    for (lane = 0; lane < LANES; lane++) {
      size_t at = order->done + lane, start = at ? order->ends[at - 1] : 0;
      if (lane >= taken) { /* an empty lane does the first one's work again */
        from[lane] = encoded[0];
        to[lane] = spare;
      } else if (encode(with, order->digest, order->data + start, order->ends[at] - start,
                        encoded[lane], length)) {
        from[lane] = encoded[lane];
        to[lane] = order->signatures + at * length;
      } else
        goto end;
      signed_[lane] = to[lane];
    }
    if (with->sign(from, to, p, q, dp, dq, inverse_q, key->bits, with->signing, room) != 0 ||
        with->open(signed_, back, n, key->bits, with->opening, room) != 0)
      break;
    for (lane = 0; lane < taken; lane++)
      if (memcmp(opened[lane], encoded[lane], length) != 0)
        goto end;
    order->done += taken;
  }
end:
  with->cleanse(room, with->room);
  free(room);
}
