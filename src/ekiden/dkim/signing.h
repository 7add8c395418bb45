/* What batch.c, lanes.c and crew.c share.
 *
 * The caller finds the functions of libcrypto and libcrypto_mb and passes them in, so that nothing
 * is linked and no header of theirs is needed.
 */

#ifndef EKIDEN_SIGNING_H
#define EKIDEN_SIGNING_H

#include <stddef.h>
#include <stdint.h>

enum { LANES = 8 }; /* of the processor's vectors: signatures that are made at a time */

struct crypto {                   /* of libcrypto */
  void *(*context_new)(void);     /* EVP_MD_CTX_new */
  void (*context_free)(void *);   /* EVP_MD_CTX_free */
  int (*context_reset)(void *);   /* EVP_MD_CTX_reset */
  int (*init)(void *context, void **, const void *digest, void *, void *key); /* EVP_DigestSignInit */
  int (*sign)(void *context, unsigned char *signature, size_t *length,
              const unsigned char *data, size_t size); /* EVP_DigestSign */
  void (*forget_errors)(void);    /* ERR_clear_error */
};

struct multi_buffer {                                 /* of libcrypto_mb, two of libcrypto first */
  int (*hash)(const void *data, size_t size, unsigned char *made, unsigned *length,
              const void *digest, void *);            /* EVP_Digest */
  void (*cleanse)(void *memory, size_t size);         /* OPENSSL_cleanse */
  uint32_t (*sign)(const unsigned char *const from[LANES], unsigned char *const to[LANES],
                   const uint64_t *const p[LANES], const uint64_t *const q[LANES],
                   const uint64_t *const dp[LANES], const uint64_t *const dq[LANES],
                   const uint64_t *const inverse_q[LANES], int bits, const void *method,
                   unsigned char *room);              /* mbx_rsa_private_crt_mb8 */
  uint32_t (*open)(const unsigned char *const from[LANES], unsigned char *const to[LANES],
                   const uint64_t *const n[LANES], int bits, const void *method,
                   unsigned char *room);              /* mbx_rsa_public_mb8, e = 65537 */
  const void *signing, *opening;                      /* its methods for a key of this size */
  size_t room;                                        /* octets of room that the larger one wants */
  size_t least;                                       /* messages that are worth it */
};

struct rsa_key { /* numbers as 64-bit words, least significant first */
  const uint64_t *p, *q, *dp, *dq, *inverse_q, *n;
  int bits;
};

struct order {                     /* pieces of data, to be signed with one key */
  const struct crypto *crypto;
  const void *digest;              /* an EVP_MD; NULL for a key that brings its own (Ed25519) */
  void *key;                       /* an EVP_PKEY */
  const struct multi_buffer *multi;
  const struct rsa_key *numbers;   /* the same key, where it signs in lanes; else NULL */
  const unsigned char *data;
  const size_t *ends;              /* of each piece in the data; it begins where another ends */
  size_t count;
  unsigned char *signatures;       /* room for `count` times `length` octets */
  size_t length;                   /* of each signature */
  size_t done;                     /* how many are signed, from the first */
};

struct task {                      /* what a crew's thread signs together */
  struct task *next;
  struct order *const *orders;     /* one for each of the keys */
  size_t count;
};

/* Octets of each of the structures above, in order: Python, which has them written down once more,
 * uses nothing that was compiled from another version of them. */
extern const size_t ekiden_sizes[];

/* Sign all; `done` is less than `count` after an error. */
void ekiden_sign(struct order *order);

/* Sign eight at a time, from the first, while `least` are left; counts them in `done`. */
void ekiden_sign_lanes(struct order *order);

#endif
