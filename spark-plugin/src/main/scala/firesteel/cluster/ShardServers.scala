package firesteel.cluster

import scala.annotation.tailrec

import firesteel.bridge.{NativeShard, StartTimeoutException}
import firesteel.plugin.{Configuration, FiresteelPlugin, NativeSetup}
import firesteel.util.Json
import org.apache.spark.firesteel.SparkPrivate
import org.apache.spark.scheduler.{SparkListener, SparkListenerExecutorRemoved}
import org.apache.spark.{SparkConf, SparkContext, SparkEnv}
import org.json4s.JsonAST.{JInt, JObject, JString}
import org.json4s.jackson.JsonMethods.parse
import org.slf4j.LoggerFactory

/** A server of one shard of the center variable, in an executor.
  *
  * @param number
  *   the number of the shard, from 1; the driver's server is shard 0
  * @param executor
  *   the executor's id
  */
private[firesteel] final case class ShardServer(
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
private[firesteel] object ShardServers {
  private val log = LoggerFactory.getLogger("firesteel.cluster.ShardServers")
  private val PauseMillis = 200L

  /** The parameters of a stripe, the smallest part of the center variable that a shard can have. */
  private val Stripe = 32768L

  /** Returns the number of shards, at most as many as a network of this size can be split into; warns if that is less
    * than requested.
    */
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

  /** Opens all shards but the driver's, each in another executor, or all in this JVM if it is the only one. With one server
    * there is nothing to open.
    *
    * @param fit
    *   the name of the fit
    * @param servers
    *   the number of shards, the driver's included
    * @param specification
    *   the `ShardSpec` of a shard, given its number, but for the executor's own settings
    * @throws java.lang.IllegalArgumentException
    *   when the plugin is not configured, or there are not enough executors
    */
  def open(context: SparkContext, fit: String, servers: Int, module: BroadcastModule)(
      specification: Int => String
  ): Seq[ShardServer] =
    if (servers == 1) Nil
    else {
      val conf = context.getConf
      require(
        conf.get("spark.plugins", "").split(',').map(_.trim).contains(Plugin),
        s"serverShards is $servers: shards run in executors with Firesteel's plugin, " +
          s"but spark.plugins does not name $Plugin"
      )
      if (conf.getBoolean("spark.dynamicAllocation.enabled", defaultValue = false)) {
        log.warn(
          "Spark may remove an executor that holds a shard, which would fail the fit: disable " +
            "spark.dynamicAllocation.enabled, or set serverShards to 1"
        )
      }
      val end = System.nanoTime() + Configuration.StartTimeout.get(conf) * 1000000L
      val specifications = (1 until servers).map(number => number -> specification(number))
      val opened = openRest(context, specifications.toMap, module, Nil, end)
      log.info(s"Fit $fit: shards ${opened.mkString(", ")}")
      opened
    }

  private val Plugin = classOf[FiresteelPlugin].getName

  @tailrec
  private def openRest(
      context: SparkContext,
      left: Map[Int, String],
      module: BroadcastModule,
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
      // A task opens nothing if Spark started it in another executor, because its own one is busy.
      val more = context.makeRDD(tasks).flatMap(task => task.open()).collect().toSeq
      val missing = left -- more.map(_.number)
      if (missing.nonEmpty) {
        if (System.nanoTime() > end) {
          throw new StartTimeoutException(
            s"${missing.size} of ${left.size + opened.size} shard servers were not opened in time, because " +
              s"their executors are busy with other tasks: wait for these, or raise ${Configuration.StartTimeout.name}"
          )
        }
        Thread.sleep(PauseMillis)
      }
      openRest(context, missing, module, opened ++ more, end)
    }

  /** An executor, by id and host, for each further shard; none if this JVM is the only one. */
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
        s"serverShards is ${count + opened.size + 1}, but the application has ${all.size} executors: together with the " +
          s"driver's server, they can hold at most ${all.size + 1} shards"
      )
      free.take(count).map(Some(_))
    }
}

/** The task that opens a shard in its executor.
  *
  * @param specification
  *   the `ShardSpec` without the executor's own settings; it contains the secrets of the fit
  */
private[firesteel] final class ShardTask(
    number: Int,
    specification: String,
    module: BroadcastModule,
    executor: Option[String]
) extends Serializable {

  def open(): Option[ShardServer] = {
    val here = SparkEnv.get.blockManager.blockManagerId
    if (executor.exists(_ != here.executorId)) None
    else {
      NativeSetup.ensureLoaded()
      val host = HostAddress.withoutBrackets(here.host)
      val port = NativeShard
        .open(ShardTask.withLocal(specification, host, SparkEnv.get.conf), module.bytes)
      Some(ShardServer(number, host, port, here.executorId))
    }
  }

  override def toString: String = s"ShardTask($number)"
}

private[firesteel] object ShardTask {

  /** Adds the executor's own settings to a `ShardSpec`: its address, and its files for TLS. */
  def withLocal(specification: String, host: String, conf: SparkConf): String =
    parse(specification) match {
      case shared: JObject =>
        val own = JObject("bindAddress" -> JString(host), "tls" -> TlsFiles.server(conf))
        Json.text(JObject(shared.obj ++ own.obj))
      case _ => throw new IllegalStateException("the specification of a shard is not a JSON object")
    }
}

/** Fails a fit as soon as Spark reports that an executor with one of its shards is lost. */
private[firesteel] final class ShardListener(shards: Seq[ShardServer], onLost: String => Unit)
    extends SparkListener {

  override def onExecutorRemoved(event: SparkListenerExecutorRemoved): Unit =
    shards.filter(_.executor == event.executorId).foreach { shard =>
      onLost(
        s"shard ${shard.number} of ${shards.size + 1} on executor ${shard.executor} at ${shard.host}:${shard.port} is " +
          s"lost: ${event.reason}"
      )
    }
}
