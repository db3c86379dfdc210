package firesteel.prediction

import org.apache.spark.sql.functions._
import org.apache.spark.sql.{DataFrame, SparkSession}

/** The number of rows a second of a transform, with a network so small that the transport of the data dominates. Prints
  * one line for each query: `query rows/s`, the median of some runs.
  *
  * Arguments: rows, values a row, runs.
  */
object PredictionThroughput {

  def main(arguments: Array[String]): Unit = {
    val numbers = arguments.map(_.toInt)
    val rows = numbers.headOption.getOrElse(120000)
    val width = numbers.lift(1).getOrElse(784)
    val runs = numbers.lift(2).getOrElse(7)
    val spark =
      SparkSession.builder().master("local[2]").config("spark.ui.enabled", false).getOrCreate()
    val features = transform(
      sequence(lit(0), lit(width - 1)),
      i => (pmod(hash(col("id"), i), lit(256)) / 256).cast("float")
    )
    val df = spark.range(0, rows.toLong, 1, 4).select(col("id"), features.as("features")).cache()
    df.foreach(_ => ())
    val model = LinearModel(Seq.fill(10)(Seq.fill(width)(0.01f)), Seq.fill(10)(0f))
    val predicted = model.append(df)
    val queries = Seq(
      "nothing" -> df.select("features"),
      "prediction" -> predicted.select("prediction"),
      "probability" -> predicted.select("id", "probability"),
      "everything" -> predicted
    )
    for ((name, query) <- queries)
      println(f"$name ${rows / Seq.fill(runs)(time(query)).sorted.apply(runs / 2)}%.0f")
    spark.stop()
  }

  private def time(query: DataFrame): Double = {
    val start = System.nanoTime()
    query.write.format("noop").mode("overwrite").save()
    (System.nanoTime() - start) / 1e9
  }
}
