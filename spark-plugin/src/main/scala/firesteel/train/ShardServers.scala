package firesteel.train

import scala.annotation.tailrec

import firesteel.bridge.{NativeServer, NativeShard, StartTimeoutException}
import firesteel.plugin.{Configuration, FiresteelPlugin, NativeSetup}
import org.apache.spark.firesteel.SparkPrivate
import org.apache.spark.scheduler.{SparkListener, SparkListenerExecutorRemoved}
import org.apache.spark.{SparkContext, SparkEnv}
import org.json4s.JsonAST.{JInt, JObject, JString}
import org.slf4j.LoggerFactory

/** A server of one shard of the center variable, in an executor.
  *
  * @param number
  *   which shard it is, from 1; the driver's server is shard 0
  * @param executor
  *   the executor's id
  */
private[train] final case class ShardServer(
    number: Int,
    host: String,
    port: Int,
    executor: String
) {

  /** The `ShardAddress`. */
  def json: JObject = JObject(
    "host" -> JString(host),
    "port" -> JInt(port),
    "executor" -> JString(executor)
  )
}

/** Opens shard servers in the JVMs of executors, by a short job with a task for each. They outlive their tasks and end
  * when the driver's server is closed.
  */
private[train] object ShardServers {
  private val log = LoggerFactory.getLogger("firesteel.train.ShardServers")
  private val PauseMillis = 200L

  /** The parameters of a stripe, the smallest part of the center variable that a shard can have. */
  private val Stripe = 32768L

  /** How many of the wanted shards a network of this size can be cut into; warns if they are fewer. */
  def within(wanted: Int, parameters: Long): Int = {
    val most = math.max(1L, (parameters + Stripe - 1) / Stripe)
    if (wanted <= most) wanted
    else {
      log.warn(
        s"The fit has $most server shards instead of $wanted: a shard has at least $Stripe parameters, " +
          s"and the network has $parameters"
      )
      most.toInt
    }
  }

  /** Opens all shards but the driver's, none if the plan wants one server: each in another executor, but all in this JVM
    * where there is no other.
    *
    * @throws java.lang.IllegalArgumentException
    *   when the plugin is not configured, or there are not enough executors
    */
  def open(
      context: SparkContext,
      sized: SizedPlan,
      identity: FitIdentity,
      module: SentModule
  ): Seq[ShardServer] = {
    val plan = sized.plan
    if (plan.serverShards == 1) Nil
    else {
      val conf = context.getConf
      require(
        conf.get("spark.plugins", "").split(',').map(_.trim).contains(Plugin),
        s"serverShards is ${plan.serverShards}: shards live in executors that have Firesteel's plugin, " +
          s"but spark.plugins does not name $Plugin"
      )
      if (conf.getBoolean("spark.dynamicAllocation.enabled", defaultValue = false)) {
        log.warn(
          "Spark may take an executor away that holds a shard of the fit, which fails then: " +
            "spark.dynamicAllocation.enabled and serverShards do not go together well"
        )
      }
      val end = System.nanoTime() + Configuration.StartTimeout.get(conf) * 1000000L
      val specifications = (1 until plan.serverShards).map { number =>
        number -> plan.shard(identity, number, sized.workers, sized.tasks, conf)
      }
      val opened = openRest(context, specifications.toMap, module, Nil, end)
      log.info(s"Fit ${identity.fit}: shards ${opened.mkString(", ")}")
      opened
    }
  }

  private val Plugin = classOf[FiresteelPlugin].getName

  @tailrec
  private def openRest(
      context: SparkContext,
      left: Map[Int, String],
      module: SentModule,
      opened: Seq[ShardServer],
      end: Long
  ): Seq[ShardServer] =
    if (left.isEmpty) opened.sortBy(_.number)
    else {
      val homes = placesFor(context, left.size, opened)
      val tasks = left.toSeq.sortBy(_._1).zip(homes).map { case ((number, specification), home) =>
        new ShardTask(number, specification, module, home.map(_._1)) ->
          home.map { case (id, host) => s"executor_${host}_$id" }.toSeq
      }
      // A task that Spark gave to another executor than it is for, because that one is busy, opens nothing.
      val more = context.makeRDD(tasks).flatMap(task => task.open()).collect().toSeq
      val missing = left -- more.map(_.number)
      if (missing.nonEmpty) {
        if (System.nanoTime() > end) {
          throw new StartTimeoutException(
            s"${missing.size} of ${left.size + opened.size} shard servers could not be opened in time: " +
              "their executors are busy with other tasks"
          )
        }
        Thread.sleep(PauseMillis)
      }
      openRest(context, missing, module, opened ++ more, end)
    }

  /** An executor, by id and host, for each further shard; none where there is but this JVM. */
  private def placesFor(
      context: SparkContext,
      count: Int,
      opened: Seq[ShardServer]
  ): Seq[Option[(String, String)]] =
    if (context.isLocal) Seq.fill(count)(None)
    else {
      val used = opened.map(_.executor).toSet
      val all = SparkPrivate.executors(context)
      val free = all.filterNot { case (id, _) => used(id) }
      require(
        free.size >= count,
        s"serverShards is ${count + opened.size + 1}, but the application has ${all.size} executors: with the driver's " +
          s"server there can be ${all.size + 1} shards"
      )
      free.take(count).map(Some(_))
    }
}

/** Opens a shard in the executor that it is for.
  *
  * @param specification
  *   the `ShardSpec` but for what only the executor knows; the fit's secrets are in it
  */
private[train] final class ShardTask(
    number: Int,
    specification: String,
    module: SentModule,
    executor: Option[String]
) extends Serializable {

  def open(): Option[ShardServer] = {
    val here = SparkEnv.get.blockManager.blockManagerId
    if (executor.exists(_ != here.executorId)) None
    else {
      NativeSetup.ensureLoaded()
      val host = FitPlan.address(here.host)
      val port = NativeShard
        .open(FitPlan.withLocal(specification, host, SparkEnv.get.conf), module.bytes)
      Some(ShardServer(number, host, port, here.executorId))
    }
  }

  override def toString: String = s"ShardTask($number)"
}

/** Fails a fit as soon as Spark knows that an executor with one of its shards is lost. */
private[train] final class ShardListener(shards: Seq[ShardServer], server: NativeServer)
    extends SparkListener {

  override def onExecutorRemoved(event: SparkListenerExecutorRemoved): Unit =
    shards.filter(_.executor == event.executorId).foreach { shard =>
      server.shardLost(
        s"shard ${shard.number} of ${shards.size + 1} on executor ${shard.executor} at ${shard.host}:${shard.port} is " +
          s"lost: ${event.reason}"
      )
    }
}
