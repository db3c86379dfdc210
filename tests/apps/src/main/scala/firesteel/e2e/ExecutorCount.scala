package firesteel.e2e

import org.apache.spark.scheduler.{
  SparkListener,
  SparkListenerExecutorAdded,
  SparkListenerExecutorRemoved
}

/** Counts the application's executors from its start, as one of `spark.extraListeners`. */
final class ExecutorCount extends SparkListener {
  override def onExecutorAdded(event: SparkListenerExecutorAdded): Unit = ExecutorCount.add()
  override def onExecutorRemoved(event: SparkListenerExecutorRemoved): Unit = ExecutorCount.remove()
}

/** The counts of this process's listener, which Spark creates. */
object ExecutorCount {
  private var added = 0
  private var gone = 0
  private var most = 0

  private def add(): Unit = synchronized {
    added += 1
    most = math.max(most, added - gone)
  }

  private def remove(): Unit = synchronized {
    gone += 1
    notifyAll()
  }

  /** The number of removed executors. */
  def removed: Int = synchronized(gone)

  /** Waits until more than `before` executors have been removed, at most for this many seconds. */
  def awaitRemoval(before: Int, seconds: Int): Unit = synchronized {
    val end = System.nanoTime() + seconds * 1000000000L
    var left = seconds * 1000L
    while (gone <= before && left > 0) {
      wait(left)
      left = (end - System.nanoTime()) / 1000000L
    }
  }

  /** The numbers of added and removed executors, and the maximum at once. */
  def report: Map[String, Int] = synchronized {
    Map("added" -> added, "removed" -> gone, "most" -> most)
  }
}
