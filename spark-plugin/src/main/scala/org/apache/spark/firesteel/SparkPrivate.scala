package org.apache.spark.firesteel

import org.apache.spark.{SparkContext, SparkEnv, TaskContext}

/** All uses of Spark's API that is private to its root package. */
object SparkPrivate {

  /** Returns the number of tasks of the default resource profile that run at once on the current executors. */
  def slots(context: SparkContext): Int =
    context.maxNumConcurrentTasks(context.resourceProfileManager.defaultResourceProfile)

  /** Returns the number of tasks of the default resource profile that an executor runs at once; all of them in local
    * mode.
    */
  def slotsOfExecutor(context: SparkContext): Int =
    math.max(1, slots(context) / math.max(1, executors(context).size))

  /** Returns the current executors by id and host, in the order of their ids; none but the driver's own in local mode. */
  def executors(context: SparkContext): Seq[(String, String)] =
    context.env.blockManager.master.getMemoryStatus.keys.toSeq
      .filterNot(_.isDriver)
      .map(manager => manager.executorId -> manager.host)
      .sortBy { case (id, _) => (id.length, id) }

  /** Ends the task with Spark's own exception if it was killed. */
  def killIfInterrupted(context: TaskContext): Unit = context.killTaskIfInterrupted()

  /** Spark's local directories on this machine. */
  def localDirectories: Seq[String] =
    SparkEnv.get.blockManager.diskBlockManager.localDirsString.toSeq
}
