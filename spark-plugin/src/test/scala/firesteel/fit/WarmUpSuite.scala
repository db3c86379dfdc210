package firesteel.fit

import java.util.concurrent.atomic.AtomicInteger

import firesteel.data.LocalSpark
import firesteel.plugin.NativeSetup
import org.apache.spark.scheduler.{SparkListener, SparkListenerJobStart}
import org.scalatest.concurrent.Eventually
import org.scalatest.funsuite.AnyFunSuite

/** Classes that are loaded before a first fit. */
final class WarmUpSuite extends AnyFunSuite with LocalSpark with Eventually {

  test("the warm-up reads what native code tells a fit, and gives its Arrow memory back") {
    NativeSetup.ensureLoaded()
    assert(WarmUp.documents().size === 4)
    givesBackMemory(WarmUp.openArrow())
  }

  test("the warm-up plans queries and runs no job") {
    val jobs = new AtomicInteger
    val listener = new SparkListener {
      override def onJobStart(event: SparkListenerJobStart): Unit = {
        val _ = jobs.incrementAndGet()
      }
    }
    spark.sparkContext.addSparkListener(listener)
    try {
      WarmUp.plan(spark)
      // Listeners hear of jobs in order.
      assert(spark.range(3).rdd.count() === 3)
      eventually(assert(jobs.get > 0))
      assert(jobs.get === 1, "only that of the count")
    } finally spark.sparkContext.removeSparkListener(listener)
  }
}
