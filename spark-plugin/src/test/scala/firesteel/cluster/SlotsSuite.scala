package firesteel.cluster

import firesteel.data.LocalSpark
import org.apache.spark.SparkConf
import org.scalatest.funsuite.AnyFunSuite

/** The number of tasks that a fit is planned for. */
final class SlotsSuite extends AnyFunSuite with LocalSpark {

  private def conf(settings: (String, String)*): SparkConf =
    new SparkConf(loadDefaults = false).setAll(settings)

  test("in local mode the slots are the threads, and more workers than that are not waited for") {
    assert(Slots.forFit(spark.sparkContext, Some(64)) === 2)
    assert(Slots.forFit(spark.sparkContext, None) === 2)
    assert(Slots.expected(conf("spark.master" -> "local[2]"), Some(64)) === 1)
    assert(Slots.expected(conf("spark.master" -> "local[*]"), None) === 1)
  }

  test("executors of a local-cluster are waited for, but not more of them than workers") {
    val master = "spark.master" -> "local-cluster[3, 4, 1024]"
    assert(Slots.expected(conf(master), None) === 12)
    assert(Slots.expected(conf(master), Some(5)) === 5)
    assert(Slots.expected(conf(master), Some(50)) === 12)
    assert(Slots.expected(conf(master, "spark.task.cpus" -> "2"), None) === 6)
  }

  test(
    "on a cluster the configured executors are waited for, or the two that Spark starts by default"
  ) {
    val master = "spark.master" -> "yarn"
    val executors =
      Seq(master, "spark.executor.instances" -> "5", "spark.executor.cores" -> "4")
    assert(Slots.expected(conf(executors: _*), None) === 20)
    assert(Slots.expected(conf(executors :+ ("spark.task.cpus" -> "3"): _*), None) === 5)
    assert(Slots.expected(conf(master), None) === 2)
    assert(Slots.expected(conf(master, "spark.executor.cores" -> "3"), None) === 6)
    assert(Slots.expected(conf(master), Some(7)) === 2)
  }

  test("a standalone cluster is waited for until it has no more to give, or enough") {
    val standalone = conf("spark.master" -> "spark://host:7077")
    val expected = Slots.expected(standalone, None)
    assert(expected === Int.MaxValue)
    assert(Slots.expected(standalone.clone.set("spark.cores.max", "6"), None) === 6)
    assert(Slots.expected(standalone, Some(3)) === 3)
    def waits(seen: Int, age: Long, same: Long, expected: Int = expected): Boolean =
      Slots.isWaiting(standalone, seen, expected, age, same)
    assert(waits(seen = 0, age = 20000, same = 20000), "for the first executor")
    assert(waits(seen = 4, age = 20000, same = 500))
    assert(!waits(seen = 4, age = 20000, same = 2000))
    assert(!waits(seen = 4, age = 20000, same = 0, expected = 4))
    assert(!waits(seen = 0, age = 30000, same = 0))
    val yarn = conf("spark.master" -> "yarn")
    assert(Slots.isWaiting(yarn, 2, expected = 8, ageMillis = 20000, sameMillis = 20000))
  }

  test("with dynamic allocation a fit is planned for the workers asked for, up to the limit") {
    val limited = conf("spark.dynamicAllocation.maxExecutors" -> "3")
    assert(Slots.allocated(conf(), now = 0, ofExecutor = 2, Some(16)) === 16)
    assert(Slots.allocated(limited, now = 2, ofExecutor = 2, Some(16)) === 6)
    assert(Slots.allocated(limited, now = 8, ofExecutor = 2, Some(16)) === 8)
    val unlimited = conf("spark.dynamicAllocation.maxExecutors" -> Int.MaxValue.toString)
    assert(Slots.allocated(unlimited, now = 0, ofExecutor = 2, Some(16)) === 16)
  }

  test(
    "with dynamic allocation and no number of workers a fit is planned for all that there may be"
  ) {
    def allocated(now: Int, settings: (String, String)*): Int =
      Slots.allocated(conf(settings: _*), now, ofExecutor = 2, None)
    val most = "spark.dynamicAllocation.maxExecutors" -> "3"
    assert(allocated(0, most) === 6)
    assert(allocated(2, most) === 6)
    assert(allocated(8, most) === 8)
    // Without a limit, what there is or what the application begins with.
    assert(allocated(0) === 1)
    assert(allocated(4) === 4)
    assert(allocated(4, "spark.dynamicAllocation.maxExecutors" -> Int.MaxValue.toString) === 4)
    assert(allocated(0, "spark.dynamicAllocation.initialExecutors" -> "4") === 8)
    assert(allocated(0, "spark.dynamicAllocation.minExecutors" -> "2") === 4)
    assert(allocated(0, "spark.executor.instances" -> "5") === 10)
    assert(allocated(12, "spark.executor.instances" -> "5") === 12)
  }
}
