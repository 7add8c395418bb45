/* Many signatures in one call: the loop around libcrypto's EVP_DigestSign, and nothing else.
 *
 * Python gives its global lock away once for a call into C. Signed one by one, every message takes
 * that lock back from a busy event loop; signed here, only every batch does, and none on a crew's
 * thread (crew.c). No memory is kept, and nothing is written but the signatures.
 */

#include "signing.h"

const size_t ekiden_sizes[] = {sizeof(struct crypto), sizeof(struct multi_buffer),
                               sizeof(struct rsa_key), sizeof(struct order), sizeof(struct task)};

static void sign_each(struct order *order)
{
  const struct crypto *crypto = order->crypto;
  void *context = crypto->context_new();
  size_t start = order->done ? order->ends[order->done - 1] : 0;

  if (context == NULL)
    return;
  for (; order->done < order->count; order->done++) {
    size_t made = order->length, end = order->ends[order->done];
    if (crypto->context_reset(context) != 1 ||
        crypto->init(context, NULL, order->digest, NULL, order->key) != 1 ||
        crypto->sign(context, order->signatures + order->done * order->length, &made,
                     order->data + start, end - start) != 1 ||
        made != order->length)
      break;
    start = end;
  }
  crypto->context_free(context);
}

void ekiden_sign(struct order *order)
{
  order->done = 0;
  if (order->numbers != NULL)
    ekiden_sign_lanes(order);
  if (order->done < order->count)
    sign_each(order);
  if (order->done < order->count)
    order->crypto->forget_errors(); /* they are this thread's */
}
