package firesteel.fit

import firesteel.bridge.NativeWorker
import org.apache.spark.TaskContext

/** Cancels a task's workers when Spark kills the task. Spark 4.1 has no callback for a kill and interrupts the thread
  * only if the job asks for it, and native code notices neither. So a thread polls the task's flag while the workers
  * run.
  */
private[firesteel] object CancelWatch {
  private val PeriodMillis = 50L

  /** Runs the body under watch; the watching thread has ended when this method returns. */
  def during[R](context: TaskContext, workers: Seq[NativeWorker])(body: => R): R = {
    val watcher = new Thread(s"firesteel-cancel-watch-${context.taskAttemptId()}") {
      override def run(): Unit =
        try {
          while (!context.isInterrupted()) Thread.sleep(PeriodMillis)
          workers.foreach(_.cancel())
        } catch { case _: InterruptedException => () }
    }
    watcher.setDaemon(true)
    watcher.start()
    try body
    finally {
      watcher.interrupt()
      joinUninterrupted(watcher)
    }
  }

  /** Waits for a thread, and preserves an interruption for the caller. */
  def joinUninterrupted(thread: Thread): Unit = {
    var interrupted = false
    while (thread.isAlive)
      try thread.join()
      catch { case _: InterruptedException => interrupted = true }
    if (interrupted) Thread.currentThread().interrupt()
  }
}
