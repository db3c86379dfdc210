package org.apache.spark.firesteel

import org.apache.spark.scheduler.SparkListenerInterface
import org.apache.spark.{SparkContext, SparkEnv}

/** The resources of an application inside Spark. */
object SparkState {

  /** The classes of the listeners that are registered. */
  def listeners(context: SparkContext): Seq[String] =
    context.listenerBus
      .findListenersByClass[SparkListenerInterface]()
      .map(_.getClass.getName)
      .sorted

  /** The blocks of RDDs and of broadcast values. */
  def blocks(): Seq[String] =
    SparkEnv.get.blockManager.master
      .getMatchingBlockIds(_ => true, askStorageEndpoints = true)
      .map(_.name)
      .sorted

  /** The files in Spark's local directories. */
  def files(): Seq[String] =
    SparkEnv.get.blockManager.diskBlockManager.getAllFiles().map(_.getName).sorted
}
