package firesteel.train

import firesteel.data.LocalSpark
import org.apache.spark.SparkConf
import org.scalatest.funsuite.AnyFunSuite

/** How many tasks a fit is planned for. */
final class SlotsSuite extends AnyFunSuite with LocalSpark {

  private def conf(settings: (String, String)*): SparkConf =
    new SparkConf(loadDefaults = false).setAll(settings)

  test("in local mode the slots are the threads, and more workers than that are not waited for") {
    assert(Slots.of(spark.sparkContext, Some(64)) === 2)
    assert(Slots.of(spark.sparkContext, None) === 2)
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

  test("on a cluster the configured executors are waited for, where their number is given") {
    val master = "spark.master" -> "yarn"
    val executors =
      Seq(master, "spark.executor.instances" -> "5", "spark.executor.cores" -> "4")
    assert(Slots.expected(conf(executors: _*), None) === 20)
    assert(Slots.expected(conf(executors :+ ("spark.task.cpus" -> "3"): _*), None) === 5)
    assert(Slots.expected(conf(master), None) === 1)
    assert(Slots.expected(conf(master), Some(7)) === 7)
  }

  test("with dynamic allocation a fit is planned for the workers asked for, up to the limit") {
    val cores = "spark.executor.cores" -> "2"
    val limited = conf(cores, "spark.dynamicAllocation.maxExecutors" -> "3")
    assert(Slots.allocated(conf(cores), now = 0, None) === 1)
    assert(Slots.allocated(conf(cores), now = 4, None) === 4)
    assert(Slots.allocated(conf(cores), now = 0, Some(16)) === 16)
    assert(Slots.allocated(limited, now = 2, Some(16)) === 6)
    assert(Slots.allocated(limited, now = 8, Some(16)) === 8)
    val unlimited = conf(cores, "spark.dynamicAllocation.maxExecutors" -> Int.MaxValue.toString)
    assert(Slots.allocated(unlimited, now = 0, Some(16)) === 16)
  }
}
