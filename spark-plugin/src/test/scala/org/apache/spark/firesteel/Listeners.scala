package org.apache.spark.firesteel

import org.apache.spark.SparkContext

/** Access of tests to Spark's listener bus. */
object Listeners {

  /** Waits until the listeners have heard of all that happened. */
  def drain(context: SparkContext): Unit = context.listenerBus.waitUntilEmpty()
}
