package org.apache.spark.firesteel

import org.apache.spark.{SparkContext, SparkEnv, TaskContext}

/** All use of what Spark keeps private to its root package. */
object SparkPrivate {

  /** How many tasks of the default resource profile run at once on the executors of now. */
  def slots(context: SparkContext): Int =
    context.maxNumConcurrentTasks(context.resourceProfileManager.defaultResourceProfile)

  /** Ends the task with Spark's own exception if it was killed. */
  def killIfInterrupted(context: TaskContext): Unit = context.killTaskIfInterrupted()

  /** Spark's local directories on this machine. */
  def localDirectories: Seq[String] =
    SparkEnv.get.blockManager.diskBlockManager.localDirsString.toSeq
}
