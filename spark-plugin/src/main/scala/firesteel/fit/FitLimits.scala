package firesteel.fit

import firesteel.bridge.NativeMemoryException
import firesteel.cluster.Machine
import firesteel.plugin.{Configuration, MemoryOverhead}
import org.apache.spark.SparkConf

/** Compares the memory that fits need, trained at the same time, with that of the driver and the executors, before
  * training.
  *
  * @param conf
  *   the configuration of the application
  * @param slotsOfExecutor
  *   the number of tasks that an executor runs at once
  * @param machine
  *   the machine of the driver
  */
private[firesteel] final class FitLimits(conf: SparkConf, slotsOfExecutor: Int, machine: Machine) {
  import FitLimits._

  private val master = conf.get("spark.master", "local")
  private val local = MemoryOverhead.isLocal(conf)

  /** YARN and Kubernetes end a container that takes more than its heap and its overhead. */
  private val enforced = master == "yarn" || master.startsWith("k8s")

  /** Checks the sizes of fits that train at the same time, and returns warnings for the user.
    *
    * @throws firesteel.bridge.NativeMemoryException
    *   naming the required memory, the available memory, and the settings that determine them
    */
  def check(fits: Seq[(SizedPlan, Footprint)]): Seq[String] = {
    fits.foreach { case (fit, footprint) => checkArrays(fit, footprint) }
    if (!Configuration.MemoryCheck.get(conf)) Nil
    else if (local) checkProcess(fits)
    else checkDriver(fits) ++ checkExecutors(fits)
  }

  /** The bytes that the driver has for parameter servers. */
  def onDriver: Long =
    if (contained) math.min(machine.native, MemoryOverhead.ofDriver(conf)) else machine.native

  private def contained: Boolean =
    enforced && conf.get("spark.submit.deployMode", "client") == "cluster"

  /** Checks the sizes of weights and checkpoints, which cross into the JVM as one array. */
  private def checkArrays(fit: SizedPlan, footprint: Footprint): Unit = {
    val parameters = s"${fit.plan.parameters} parameters"
    val models =
      if (footprint.models == 1) parameters else s"${footprint.models} members of $parameters"
    if (footprint.weights > ArrayBytes) {
      val most = math.max(1L, ArrayBytes / math.max(1L, footprint.weights / footprint.models))
      val fewer =
        if (footprint.models == 1) ""
        else s"set numWorkers to at most $most, since each worker is a member, or "
      refuse(
        fit,
        s"the trained weights would be $models, ${footprint.weights} bytes, but a JVM array holds at most $ArrayBytes " +
          s"bytes (2 GiB): ${fewer}use a smaller network"
      )
    }
    if (footprint.weights > machine.heap) {
      refuse(
        fit,
        s"the trained weights would be $models, ${footprint.weights} bytes, but the heap of the driver, through " +
          s"which they pass, has at most ${machine.heap} bytes: raise spark.driver.memory"
      )
    }
    if (fit.plan.checkpoint.nonEmpty && footprint.checkpoint > ArrayBytes) {
      refuse(
        fit,
        s"a checkpoint of $models with the state of the strategy and the optimizer would be " +
          s"${footprint.checkpoint} bytes, but a JVM array holds at most $ArrayBytes bytes (2 GiB): clear " +
          "checkpointDir, or use a smaller network"
      )
    }
  }

  /** Checks a process that runs driver and workers. The heap is a limit that may not be reached, so a fit is rejected
    * only if it exceeds the whole machine.
    */
  private def checkProcess(fits: Seq[(SizedPlan, Footprint)]): Seq[String] = {
    val need = sum(fits)(server) + sum(fits)(replicas)
    val problem =
      s"the parameter server and the workers need about ${formatted(need)} outside the Java heap, but this machine " +
        s"has ${formatted(machine.native)}: ${formatted(machine.memory)} less the heap of ${formatted(machine.heap)}. Lower " +
        s"spark.driver.memory, ${fewer(fits)}, or use a smaller network"
    refuseOrWarn(fits, problem, refused = need > machine.memory, warned = need > machine.native)
  }

  private def checkDriver(fits: Seq[(SizedPlan, Footprint)]): Seq[String] = {
    val need = sum(fits)(server)
    val problem =
      s"the parameter server needs about ${formatted(need)} outside the Java heap of the driver, which has " +
        s"${formatted(onDriver)}: raise spark.driver.memoryOverhead or the memory of its machine, lower spark.driver.memory, " +
        s"set serverShards, ${fewer(fits)}, or use a smaller network"
    val most = if (contained) MemoryOverhead.ofDriver(conf) else machine.memory
    refuseOrWarn(fits, problem, refused = need > most, warned = need > onDriver)
  }

  private def refuseOrWarn(
      fits: Seq[(SizedPlan, Footprint)],
      problem: String,
      refused: Boolean,
      warned: Boolean
  ): Seq[String] =
    if (refused) refuse(fits.head._1, s"$problem; $SkippedBy")
    else Seq(problem).filter(_ => warned)

  private def checkExecutors(fits: Seq[(SizedPlan, Footprint)]): Seq[String] = {
    val need = sum(fits)(replicas)
    val has = MemoryOverhead.ofExecutor(conf)
    val rows = Configuration.CacheMemory.get(conf)
    val needs =
      s"the workers of an executor need about ${formatted(need)} outside its Java heap"
    val overhead = s"the ${formatted(has)} of spark.executor.memoryOverhead"
    val cures =
      s"raise spark.executor.memoryOverhead, run fewer tasks in an executor (spark.executor.cores, spark.task.cpus), or " +
        s"${fewer(fits)}"
    // Spark may spread the tasks over more executors than necessary, so a fit is rejected only if one task lacks memory.
    val least = sum(fits)(replica)
    if (least > has && enforced) {
      refuse(
        fits.head._1,
        s"a task needs about ${formatted(least)} outside the Java heap of its executor, more than $overhead, beyond which " +
          s"$master kills an executor: $cures; $SkippedBy"
      )
    } else if (need > has && enforced) {
      Seq(
        s"$needs if it runs $slotsOfExecutor tasks, more than $overhead, beyond which $master kills an executor: $cures"
      )
    } else if (need > has) {
      Seq(
        s"$needs, more than $overhead: make sure that the machines have that much beside the heap of " +
          s"${conf.get("spark.executor.memory", "1g")}, or $cures"
      )
    } else if (enforced && need + rows > has) {
      Seq(
        s"$needs, and their rows up to ${formatted(rows)} (${Configuration.CacheMemory.name}), together more than $overhead, " +
          s"beyond which $master kills an executor: $cures, or lower ${Configuration.CacheMemory.name}"
      )
    } else Nil
  }

  private def server(fit: SizedPlan, footprint: Footprint): Long =
    footprint.onDriver(fit.plan.serverShards)

  /** Returns the memory of one task. */
  private def replica(fit: SizedPlan, footprint: Footprint): Long =
    footprint.inExecutor(fit.workers, fit.tasks, slots = 1)

  private def replicas(fit: SizedPlan, footprint: Footprint): Long = {
    val shard = if (fit.plan.serverShards > 1) footprint.onShard(fit.plan.serverShards) else 0L
    footprint.inExecutor(fit.workers, fit.tasks, slotsOfExecutor) + shard
  }
}

private[firesteel] object FitLimits {

  /** The size of the longest array that every JVM allows. */
  val ArrayBytes: Long = Int.MaxValue - 8L

  private val SkippedBy = s"${Configuration.MemoryCheck.name}=false skips this check"

  /** Returns advice to reduce the memory of an executor or of the driver. */
  private def fewer(fits: Seq[(SizedPlan, Footprint)]): String =
    if (fits.size > 1) s"lower ${Configuration.CandidatesMemory.name}"
    else "lower numWorkers"

  private def sum(fits: Seq[(SizedPlan, Footprint)])(of: (SizedPlan, Footprint) => Long): Long =
    fits.map { case (fit, footprint) => of(fit, footprint) }.sum

  private def formatted(bytes: Long): String =
    if (bytes >= (10L << 30)) s"${bytes >> 30} GiB"
    else if (bytes >= (10L << 20)) s"${bytes >> 20} MiB"
    else s"${bytes >> 10} KiB"

  private def refuse(fit: SizedPlan, problem: String): Nothing =
    throw new NativeMemoryException(fit.plan.withName(problem))
}
