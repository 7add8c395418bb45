/* Many signatures in one call: the loop around libcrypto's EVP_DigestSign, and nothing else.
 *
 * Python gives its global lock away once for a call into C. Signed one by one, every message takes
 * that lock back from a busy event loop; signed here, only every batch does.
 *
 * The caller finds libcrypto's functions and passes them in, so that nothing is linked and no
 * header is needed. No memory is kept, and nothing is written but the signatures.
 */

#include <stddef.h>

struct crypto {
  void *(*context_new)(void);     /* EVP_MD_CTX_new */
  void (*context_free)(void *);   /* EVP_MD_CTX_free */
  int (*context_reset)(void *);   /* EVP_MD_CTX_reset */
  int (*init)(void *context, void **, const void *digest, void *, void *key); /* EVP_DigestSignInit */
  int (*sign)(void *context, unsigned char *signature, size_t *length,
              const unsigned char *data, size_t size); /* EVP_DigestSign */
};

/* Sign `count` pieces of `data` with one key, but for the `done` first ones.
 *
 * digest:     an EVP_MD; NULL for a key that brings its own (Ed25519).
 * ends:       for each piece, where it ends in `data`; it begins where the one before it ends.
 * signatures: room for `count` times `length` octets, the length of each signature.
 *
 * Returns how many are signed now, from the first: less than `count` after an error.
 */
size_t ekiden_sign_each(const struct crypto *crypto, const void *digest, void *key,
                        const unsigned char *data, const size_t *ends, size_t count,
                        unsigned char *signatures, size_t length, size_t done)
{
  void *context = crypto->context_new();
  size_t start = done ? ends[done - 1] : 0;

  if (context == NULL)
    return done;
  for (; done < count; done++) {
    size_t made = length;
    if (crypto->context_reset(context) != 1 ||
        crypto->init(context, NULL, digest, NULL, key) != 1 ||
        crypto->sign(context, signatures + done * length, &made, data + start,
                     ends[done] - start) != 1 ||
        made != length)
      break;
    start = ends[done];
  }
  crypto->context_free(context);
  return done;
}
