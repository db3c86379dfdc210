package firesteel.fit

import scala.collection.mutable

import org.apache.spark.scheduler.{
  SparkListener,
  SparkListenerStageSubmitted,
  SparkListenerTaskEnd,
  SparkListenerTaskStart
}

/** Follows the tasks of one fit: their starts, and the ends of their attempts.
  *
  * @param rdd
  *   the id of the RDD that the fit's tasks compute
  * @param onAttemptEnd
  *   receives the partition and the `taskAttemptId` of every attempt that has ended
  */
private[firesteel] final class FitListener(rdd: Int, onAttemptEnd: (Int, Long) => Unit)
    extends SparkListener {
  private val stages = mutable.Set.empty[Int]
  private val started = mutable.Set.empty[Int]
  private val running = mutable.Set.empty[Long]
  private var firstSubmission: Option[Long] = None

  /** The time at which the tasks could start, on the clock of `System.nanoTime`; none while earlier stages run. */
  def submitted: Option[Long] = synchronized(firstSubmission)

  /** The partitions whose task has started at least once. */
  def startedTasks: Int = synchronized(started.size)

  /** Waits until no attempt is running; returns false if some are after this time. */
  def awaitNoneRunning(millis: Long): Boolean = synchronized {
    val deadline = System.nanoTime() + millis * 1000000L
    var left = millis
    while (running.nonEmpty && left > 0) {
      wait(left)
      left = (deadline - System.nanoTime()) / 1000000L
    }
    running.isEmpty
  }

  override def onStageSubmitted(event: SparkListenerStageSubmitted): Unit = synchronized {
    if (event.stageInfo.rddInfos.exists(_.id == rdd)) {
      stages += event.stageInfo.stageId
      if (firstSubmission.isEmpty) firstSubmission = Some(System.nanoTime())
    }
  }

  override def onTaskStart(event: SparkListenerTaskStart): Unit = synchronized {
    if (stages(event.stageId)) {
      started += event.taskInfo.index
      running += event.taskInfo.taskId
      ()
    }
  }

  override def onTaskEnd(event: SparkListenerTaskEnd): Unit = {
    val ours = synchronized {
      running -= event.taskInfo.taskId
      notifyAll()
      stages(event.stageId)
    }
    if (ours) onAttemptEnd(event.taskInfo.partitionId, event.taskInfo.taskId)
  }
}
