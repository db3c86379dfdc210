package firesteel.fit

import firesteel.bridge.NativeMemoryException
import firesteel.checkpoint.CheckpointPlan
import firesteel.cluster.Machine
import firesteel.data.{DataPlan, LocalSpark}
import org.apache.spark.SparkConf
import org.json4s.JsonAST.{JBool, JDouble, JObject, JString}
import org.scalatest.funsuite.AnyFunSuite

/** Fits that need more than there is. */
final class FitLimitsSuite extends AnyFunSuite with LocalSpark {
  private val Mebi = 1L << 20
  private val Gibi = 1L << 30

  private val sgd = JObject(
    "name" -> JString("sgd"),
    "learningRate" -> JDouble(0.1),
    "momentum" -> JDouble(0.9),
    "dampening" -> JDouble(0),
    "nesterov" -> JBool.False,
    "weightDecay" -> JDouble(0)
  )

  private def plan(parameters: Long, strategy: String = "downpour"): FitPlan = FitPlan(
    JObject(),
    DataPlan(Nil),
    Nil,
    _ => sgd,
    (_, _) => JObject("name" -> JString(strategy)),
    JObject(),
    identity,
    None,
    batchSize = _ => 32,
    epochs = 1,
    seed = 1,
    shuffle = true,
    None,
    parameters = parameters,
    weightBytes = 4 * parameters
  )

  private def limits(machine: Machine, settings: (String, String)*): FitLimits =
    new FitLimits(new SparkConf(false).setAll(settings), slotsOfExecutor = 2, machine)

  private val large = Machine(1L << 50, 1L << 40)

  private def checked(
      limits: FitLimits,
      plan: FitPlan,
      needs: Footprint,
      workers: Int = 4
  ): Seq[String] = limits.check(Seq(SizedPlan(plan, 4, workers) -> needs))

  private def refused(texts: String*)(check: => Any): Unit = {
    val message = intercept[NativeMemoryException](check).getMessage
    texts.foreach(text => assert(message.contains(text), message))
  }

  private val none = Footprint(1, 0, 0, 0, 0, 0)

  test(
    "weights that no array of the JVM holds are refused at the first byte too many, with what to do"
  ) {
    val most = 2147483639L
    val local = limits(large, "spark.master" -> "local[4]")
    assert(checked(local, plan(7), none.copy(weights = most)).isEmpty)
    refused("7 parameters, 2147483640 bytes", "at most 2147483639 bytes", "smaller network") {
      checked(local, plan(7), none.copy(weights = most + 1))
    }
    val ensemble = plan(27000000, "ensemble")
    assert(checked(local, ensemble, Footprint.of(ensemble, 19)).isEmpty)
    refused("20 members of 27000000 parameters, 2160000000 bytes", "numWorkers to at most 19") {
      checked(local, ensemble, Footprint.of(ensemble, 20), workers = 20)
    }
  }

  test("a checkpoint that no array of the JVM holds is refused where there are to be checkpoints") {
    val local = limits(large, "spark.master" -> "local[4]")
    val needs = none.copy(checkpoint = 3L << 30)
    assert(checked(local, plan(9), needs).isEmpty)
    val saving = plan(9).copy(checkpoint = Some(CheckpointPlan("/checkpoints", 60, None)))
    refused("3221225472 bytes", "checkpointDir")(checked(local, saving, needs))
  }

  test("weights that the driver's heap does not hold are refused with the key of its size") {
    val small = limits(Machine(64 * Gibi, 400 * Mebi), "spark.master" -> "yarn")
    refused("419430401 bytes", "spark.driver.memory") {
      checked(small, plan(9), none.copy(weights = 400 * Mebi + 1))
    }
  }

  private val fit = Footprint(1, 0, 0, server = 300 * Mebi, task = 10 * Mebi, worker = 40 * Mebi)

  test("in local mode server and workers share the machine's memory without the heap") {
    // 300 MiB, and two tasks of a worker each.
    def local(memory: Long, more: (String, String)*): FitLimits =
      limits(Machine(Gibi + memory, Gibi), ("spark.master" -> "local[2]") +: more: _*)
    assert(checked(local(400 * Mebi), plan(9), fit, workers = 2).isEmpty)
    val warned = checked(local(400 * Mebi - 1), plan(9), fit, workers = 2)
    assert(warned.size === 1 && warned.head.contains("about 400 MiB"), warned)
    assert(warned.head.contains("399 MiB"), warned)
    val unchecked = local(Mebi, "spark.firesteel.memory.check" -> "false")
    assert(checked(unchecked, plan(9), fit, workers = 2).isEmpty)
  }

  test("a heap as large as the machine is no reason to refuse what the machine holds") {
    val reserved = limits(Machine(Gibi, 2 * Gibi), "spark.master" -> "local[2]")
    val warned = checked(reserved, plan(9), fit, workers = 2)
    assert(warned.size === 1 && warned.head.contains("has 0 KiB"), warned)
    val tiny = limits(Machine(400 * Mebi - 1, 2 * Gibi), "spark.master" -> "local[2]")
    refused("about 400 MiB", "spark.firesteel.memory.check=false") {
      checked(tiny, plan(9), fit, workers = 2)
    }
  }

  test("on a cluster the server needs the memory of the driver's machine, or of its container") {
    val driver = Machine(2 * Gibi, Gibi)
    val yarn = Seq("spark.master" -> "yarn", "spark.firesteel.cache.memory" -> "1m")
    assert(checked(limits(driver, yarn: _*), plan(9), fit).isEmpty)
    val cluster = yarn ++ Seq(
      "spark.submit.deployMode" -> "cluster",
      "spark.driver.memoryOverhead" -> "299m"
    )
    refused("about 300 MiB", "299 MiB", "spark.driver.memoryOverhead") {
      checked(limits(driver, cluster: _*), plan(9), fit)
    }
    assert(
      checked(limits(driver, cluster: _*), plan(9).copy(serverShards = 2), fit).isEmpty,
      "half of it is on an executor"
    )
  }

  test(
    "workers beyond the overhead are refused where containers end for it, and are a warning elsewhere"
  ) {
    def on(master: String, overhead: String): FitLimits = limits(
      large,
      "spark.master" -> master,
      "spark.executor.memoryOverhead" -> overhead,
      "spark.firesteel.cache.memory" -> "20m"
    )
    // Two tasks of a worker each.
    for (master <- Seq("yarn", "k8s://https://host:6443")) {
      assert(checked(on(master, "120m"), plan(9), fit).isEmpty)
      val tight = checked(on(master, "119m"), plan(9), fit)
      assert(tight.size === 1 && tight.head.contains("spark.firesteel.cache.memory"), tight)
      val packed = checked(on(master, "99m"), plan(9), fit)
      assert(packed.size === 1 && packed.head.contains("about 100 MiB"), packed)
      refused("a task needs about 50 MiB", "49 MiB of spark.executor.memoryOverhead", "numWorkers") {
        checked(on(master, "49m"), plan(9), fit)
      }
    }
    val standalone = "spark://host:7077"
    assert(checked(on(standalone, "100m"), plan(9), fit).isEmpty)
    val warned = checked(on(standalone, "99m"), plan(9), fit)
    assert(warned.size === 1 && warned.head.contains("about 100 MiB"), warned)
  }

  test("what the fits of one job need is added up") {
    val local = limits(Machine(700 * Mebi, 0), "spark.master" -> "local[2]")
    val two = Seq.fill(2)(SizedPlan(plan(9), 2, 2) -> fit)
    assert(local.check(two.take(1)).isEmpty)
    refused("about 800 MiB", "spark.firesteel.candidates.memory")(local.check(two))
  }

  test(
    "what workers take of an executor grows with the tasks that it runs and the workers of each"
  ) {
    assert(fit.inExecutor(workers = 1, tasks = 1, slots = 2) === 50 * Mebi)
    assert(fit.inExecutor(workers = 4, tasks = 4, slots = 2) === 100 * Mebi)
    assert(fit.inExecutor(workers = 5, tasks = 4, slots = 2) === 180 * Mebi)
  }

  test("a fit that goes on from a checkpoint has the workers of that, and says so") {
    val sized = SizedPlan(plan(9), slots = 2, workers = 2)
    assert(sized.resuming(None) === sized)
    assert(sized.resuming(Some(2)) === sized)
    val resumed = sized.resuming(Some(5))
    assert((resumed.workers, resumed.tasks) === ((5, 2)))
    assert(resumed.decisions.head.contains("with 5 workers"), resumed.decisions)
    assert(SizedPlan(plan(9), slots = 8, workers = 8).resuming(Some(3)).tasks === 3)
  }
}
