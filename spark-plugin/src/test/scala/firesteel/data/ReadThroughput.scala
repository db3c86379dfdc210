package firesteel.data

import java.lang.management.ManagementFactory
import java.nio.file.Files

import firesteel.bridge.NativeWorker
import firesteel.util.Resources
import org.apache.arrow.c.{ArrowArrayStream, Data}
import org.apache.spark.ml.functions.array_to_vector
import org.apache.spark.sql.firesteel.SqlPrivate
import org.apache.spark.sql.functions._
import org.apache.spark.sql.{DataFrame, SparkSession}

/** The number of rows a second that cross the Arrow C interface. Prints one line for each kind of column and source:
  * `kind source rows/s rows/cpu-s`, medians of some runs over all partitions. The second figure is by the processor
  * time of the tasks' threads, which does not depend on other load.
  *
  * Arguments: rows, values a row, runs, then any of `floats`, `vectors`, `bytes` and any of `cache`,
  * `parquet`, `arrow` (Spark 4.3's Arrow cache); all of them unless given.
  */
object ReadThroughput {

  private val Kinds = Seq("floats", "vectors", "bytes")

  def main(arguments: Array[String]): Unit = {
    val numbers = arguments.filter(_.forall(_.isDigit)).map(_.toInt)
    val names = arguments.filterNot(_.forall(_.isDigit)).toSeq
    def chosen(all: Seq[String]): Seq[String] =
      if (names.exists(all.contains)) names.filter(all.contains) else all
    val rows = numbers.headOption.getOrElse(120000)
    val width = numbers.lift(1).getOrElse(784)
    val runs = numbers.lift(2).getOrElse(7)
    val arrow = names.contains("arrow")
    val spark = session(arrow)
    val sources = if (arrow) Seq("arrow") else chosen(Seq("cache", "parquet"))
    for (kind <- chosen(Kinds); source <- sources) {
      val df = read(spark, table(spark, rows, width, kind), source)
      val plan = ColumnResolver.resolve(
        df,
        Seq(InputRequest("input", Seq("features"))),
        Seq(LabelColumn("label", LabelKind.Class(10)))
      )
      df.foreach(_ => ())
      val consume = if (names.contains("native")) load(plan) else pull
      val times = (0 until runs).map(_ => time(df, plan, rows, consume))
      val wall = times.map(_._1).sorted.apply(runs / 2)
      val cpu = times.map(_._2).sorted.apply(runs / 2)
      println(f"$kind $source ${rows / wall}%.0f ${rows / cpu}%.0f")
      df.unpersist(true)
    }
    spark.stop()
  }

  private def session(arrow: Boolean): SparkSession = {
    val builder = SparkSession
      .builder()
      .master("local[2]")
      .config("spark.ui.enabled", false)
      .config(
        "spark.sql.inMemoryColumnarStorage.compressed",
        sys.props.getOrElse("read.compressed", "true")
      )
    if (arrow) {
      builder.config(
        "spark.sql.cache.serializer",
        "org.apache.spark.sql.execution.columnar.ArrowCachedBatchSerializer"
      )
    }
    builder.getOrCreate()
  }

  private def table(spark: SparkSession, rows: Int, width: Int, kind: String): DataFrame = {
    val id = col("id")
    val floats = transform(
      sequence(lit(0), lit(width - 1)),
      i => (pmod(hash(id, i), lit(256)) / 256).cast("float")
    )
    val features = kind match {
      case "floats" => floats
      case "vectors" => array_to_vector(floats)
      case "bytes" =>
        substring(
          to_binary(repeat(sha2(id.cast("string"), 512), width / 64 + 1), lit("hex")),
          1,
          width
        )
    }
    spark
      .range(0, rows.toLong, 1, 4)
      .select(features.as("features"), pmod(id, lit(10)).cast("int").as("label"))
  }

  private def read(spark: SparkSession, df: DataFrame, source: String): DataFrame =
    if (source == "parquet") {
      val folder = Files.createTempDirectory("read").resolve("table").toString
      df.write.parquet(folder)
      spark.read.parquet(folder)
    } else df.cache()

  /** The seconds of one read, and the processor seconds of its tasks. */
  private def time(
      df: DataFrame,
      plan: DataPlan,
      rows: Int,
      consume: PartitionStream => Option[Long]
  ): (Double, Double) = {
    val start = System.nanoTime()
    val found = PartitionReader
      .runTasks(df, plan, 2) { stream =>
        val clock = ManagementFactory.getThreadMXBean
        val begin = clock.getCurrentThreadCpuTime
        val pulled = consume(stream)
        (pulled, clock.getCurrentThreadCpuTime - begin)
      }
      .rdd
      .collect()
    val seconds = (System.nanoTime() - start) / 1e9
    val counted = found.flatMap(_._1)
    require(counted.isEmpty || counted.sum == rows, s"${counted.sum} of $rows rows arrived")
    (seconds, found.map(_._2).sum / 1e9)
  }

  /** Pulls a stream to its end and looks at no value; its rows. */
  private val pull: PartitionStream => Option[Long] = stream => {
    var rows = 0L
    stream.feed { address =>
      Resources.use(SqlPrivate.allocator("consumer")) { allocator =>
        Resources.use(Data.importArrayStream(allocator, ArrowArrayStream.wrap(address))) { reader =>
          while (reader.loadNextBatch()) rows += reader.getVectorSchemaRoot.getRowCount
        }
      }
    }
    Some(rows)
  }

  /** Loads a stream into native blocks. */
  private def load(plan: DataPlan): PartitionStream => Option[Long] = {
    val spec =
      s"""{"server": {"fit": "read", "host": "localhost", "port": 1, "secret": "${"0" * 64}",
         |"timeoutMillis": 1000}, "network": {"format": "firesteel.network/1", "inputs": ["input"],
         |"nodes": [{"name": "0", "op": "Linear", "inputs": ["input"], "args": {"out_features": 10}}],
         |"outputs": ["0"]}, "data": ${plan.toJson}, "losses": [{"loss": {"name": "cross_entropy"}, "weight": 1}],
         |"optimizer": {"name": "sgd", "learningRate": 0.1, "momentum": 0, "dampening": 0,
         |"nesterov": false, "weightDecay": 0}, "strategy": {"name": "single"}, "batchSize": 32,
         |"epochs": 1, "seed": 0, "shuffle": true, "partition": 0, "attempt": 0,
         |"workersInTask": 1, "threads": 1, "cacheBytes": 4000000000,
         |"spillDirectories": []}""".stripMargin
    stream => {
      Resources.use(NativeWorker.open(spec))(worker => stream.feed(address => worker.load(address)))
      None
    }
  }
}
