package firesteel.cluster

import scala.collection.mutable

import org.slf4j.LoggerFactory

/** The slots of an application and the fits that hold them. Fits with rounds wait here so that they do not deadlock.
  *
  * All workers of a strategy with rounds must run at the same time: two such fits that each held half of the slots would
  * wait until they fail. So such a fit starts only when the running fits leave as many slots free as it has tasks, and
  * while it runs, others start only in the remaining slots. Asynchronous fits share slots as any Spark jobs do. Fits start
  * in the order of their arrival.
  */
private[firesteel] final class FitSlots {
  import FitSlots._

  private val waiting = mutable.Queue.empty[Holder]
  private val running = mutable.Set.empty[Holder]

  /** Runs a fit once it may hold its slots.
    *
    * @param tasks
    *   the tasks of the fit
    * @param slots
    *   the slots of the application
    * @param inRounds
    *   true if its strategy has rounds
    * @throws java.lang.InterruptedException
    *   when the thread is interrupted while it waits
    */
  def during[R](tasks: Int, slots: Int, inRounds: Boolean)(fit: => R): R = {
    val holder = new Holder(tasks, inRounds)
    enter(holder, slots)
    try fit
    finally leave(holder)
  }

  private def enter(holder: Holder, slots: Int): Unit = synchronized {
    waiting += holder
    try {
      if (!admits(holder, slots)) {
        log.info(
          s"The fit is waiting for ${holder.tasks} of $slots slots: ${running.size} fits of this application are running, " +
            "and the workers of a strategy with rounds must all run at the same time"
        )
      }
      while (!admits(holder, slots)) wait()
      val _ = running += holder
    } finally {
      waiting -= holder
      notifyAll()
    }
  }

  private def admits(holder: Holder, slots: Int): Boolean =
    waiting.head == holder && {
      val shared = !holder.inRounds && !running.exists(_.inRounds)
      running.isEmpty || shared || slots - running.toSeq.map(_.tasks).sum >= holder.tasks
    }

  private def leave(holder: Holder): Unit = synchronized {
    running -= holder
    notifyAll()
  }
}

private[firesteel] object FitSlots {
  private val log = LoggerFactory.getLogger("firesteel.cluster.FitSlots")

  /** The slots of this JVM, which has one running SparkContext. */
  val here: FitSlots = new FitSlots

  private final class Holder(val tasks: Int, val inRounds: Boolean)
}
