package org.apache.spark.firesteel

import org.apache.spark.SparkContext

/** What tests need of Spark's listener bus. */
object Listeners {

  /** Waits until the listeners have heard of all that happened. */
  def drain(context: SparkContext): Unit = context.listenerBus.waitUntilEmpty()
}
