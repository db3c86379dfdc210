package firesteel.bridge;

import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongConsumer;

/** An id in the native registry that is closed at most once, from any thread. */
final class Handle {
  private static final long CLOSED = 0;

  private final AtomicLong id;
  private final String name;
  private final LongConsumer close;

  Handle(long id, String name, LongConsumer close) {
    this.id = new AtomicLong(id);
    this.name = name;
    this.close = close;
  }

  /** Returns the id, unless the handle is closed. */
  long get() {
    long current = id.get();
    if (current == CLOSED) {
      throw new InternalException("the " + name + " is closed");
    }
    return current;
  }

  /** Runs an action unless the handle is closed. */
  void ifOpen(LongConsumer action) {
    long current = id.get();
    if (current != CLOSED) {
      action.accept(current);
    }
  }

  void close() {
    long current = id.getAndSet(CLOSED);
    if (current != CLOSED) {
      close.accept(current);
    }
  }
}
